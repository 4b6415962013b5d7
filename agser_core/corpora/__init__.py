"""From the files of a corpus to its clips: one module a corpus, each with `read(root, **options) -> Corpus`."""

import difflib
import importlib
import inspect
from collections.abc import Callable

from agser_core.corpora.clip import CLASSES, Clip, Corpus, Problem
from agser_core.corpora.summary import describe, describe_text
from agser_core.errors import ConfigError

__all__ = ["ADAPTERS", "CLASSES", "Clip", "Corpus", "Problem", "describe", "describe_text", "read"]


def _adapter(module: str) -> Callable[..., Corpus]:
    """The `read` function of a module, which is imported when the adapter is first used."""

    def read_corpus(root: str, **options) -> Corpus:
        function = importlib.import_module(f"{__name__}.{module}").read
        known = [name for name in inspect.signature(function).parameters if name != "root"]
        for option in options:
            if option not in known:
                close = difflib.get_close_matches(option, known, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"it knows {', '.join(known) or 'none'}"
                raise ConfigError(f"the adapter {module!r} has no option {option!r}: {hint}")
        return function(root, **options)

    return read_corpus


ADAPTERS: dict[str, Callable[..., Corpus]] = {
    "sample": _adapter("manifest"),  # the generated corpora come with a manifest
    "manifest": _adapter("manifest"),
    "ravdess": _adapter("ravdess"),
    "grid": _adapter("grid"),
    "emodb": _adapter("emodb"),
    "crema_d": _adapter("crema_d"),
    "msp_improv": _adapter("msp_improv"),
    "msp_podcast": _adapter("msp_podcast"),
    "biic_podcast": _adapter("biic_podcast"),
    "audformat": _adapter("audformat_database"),
}


def read(adapter: str, root: str, **options) -> Corpus:
    """Read the corpus below `root` with the named adapter.

    Raises ConfigError for an adapter or option that does not exist, AgserError for a folder that does not.
    """
    if adapter not in ADAPTERS:
        close = difflib.get_close_matches(adapter, ADAPTERS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(ADAPTERS))}"
        raise ConfigError(f"no corpus adapter {adapter!r}: {hint}")
    return ADAPTERS[adapter](root, **options)
