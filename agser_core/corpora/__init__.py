"""From the files of a corpus to its clips: one module a corpus, each with `read(root, **options) -> Corpus`."""

import difflib
import importlib
import inspect
from collections.abc import Callable, Sequence

from agser_core.corpora.clip import CLASSES, Clip, Corpus, Problem
from agser_core.corpora.splits import Rotation
from agser_core.corpora.summary import describe, describe_text
from agser_core.errors import ConfigError

__all__ = [
    "CLASSES",
    "MODULES",
    "Clip",
    "Corpus",
    "Problem",
    "adapter",
    "describe",
    "describe_text",
    "published_rotations",
    "read",
]


MODULES: dict[str, str] = {
    "sample": "manifest",  # the generated corpora come with a manifest
    "manifest": "manifest",
    "ravdess": "ravdess",
    "grid": "grid",
    "emodb": "emodb",
    "crema_d": "crema_d",
    "msp_improv": "msp_improv",
    "msp_podcast": "msp_podcast",
    "biic_podcast": "biic_podcast",
    "audformat": "audformat_database",
}
"""The module of each adapter. It is imported when the adapter is used."""


def adapter(name: str) -> Callable[..., Corpus]:
    """The `read` function of an adapter. Raises ConfigError for a name that does not exist, with the nearest one."""
    if name not in MODULES:
        close = difflib.get_close_matches(name, MODULES, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(MODULES))}"
        raise ConfigError(f"no corpus adapter {name!r}: {hint}")
    return importlib.import_module(f"{__name__}.{MODULES[name]}").read


def published_rotations(name: str) -> Sequence[Rotation] | None:
    """(train, dev, test) folds of each rotation that was published for a corpus; None where its folds say it all."""
    return getattr(importlib.import_module(f"{__name__}.{MODULES[name]}"), "ROTATIONS", None)


def read(name: str, root: str, /, **options) -> Corpus:
    """Read the corpus below `root` with the named adapter.

    Raises ConfigError for an adapter or option that does not exist, AgserError for a folder that does not.
    """
    function = adapter(name)
    known = [option for option in inspect.signature(function).parameters if option != "root"]
    for option in options:
        if option not in known:
            close = difflib.get_close_matches(option, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it knows {', '.join(known) or 'none'}"
            raise ConfigError(f"the adapter {name!r} has no option {option!r}: {hint}")
    return function(root, **options)
