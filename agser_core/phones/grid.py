"""GRID's word alignments: one line a word, "start end word", in units of 1/25000 s."""

from pathlib import Path

from agser_core.errors import ClipError
from agser_core.phones.inventory import SILENCES

_UNITS_PER_SECOND = 25000


def read_grid_words(path: str | Path) -> list[tuple[str, float, float]]:
    """The words of a GRID .align file as (word, start, end) in s, silences and short pauses left out.

    Raises `ClipError` for a line that is not "start end word".
    """
    words = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            start, end, word = line.split()
            times = int(start) / _UNITS_PER_SECOND, int(end) / _UNITS_PER_SECOND
        except ValueError as error:
            raise ClipError(
                f"line {number} of {Path(path).name} is {line!r}, not 'start end word'",
                remedy="fetch the align file again",
                error_class="alignment",
            ) from error
        if word not in SILENCES:
            words.append((word, *times))
    return words
