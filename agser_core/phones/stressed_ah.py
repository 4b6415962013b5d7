"""Which AH of an English word is stressed (ʌ, "love") and which is not (ə, "about").

The aligner's dictionary is the CMU Pronouncing Dictionary without its stress digits, but the method needs the
difference: only AH0 is its vowel ə. The table beside this module, `stressed_ah.txt`, restores it: a line for each
dictionary entry with a stressed AH, with the places of those AH among the entry's vowels, counted from 0; every other
AH is unstressed. All 58,203 entries with AH were found in CMUdict with the very same phones. To make it again:

    python -m agser_core.phones.stressed_ah CMUDICT > agser_core/phones/stressed_ah.txt
"""

import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from agser_core.phones.espeak import VOWEL_LETTERS

_TABLE = Path(__file__).with_suffix(".txt")


def stresses(entry: str, phones: Sequence[str]) -> list[int]:
    """The stress of each phone of a dictionary entry ("the", "the(2)"): 1 or 0 for AH, -1 for every other phone.

    >>> stresses("under", ["AH", "N", "D", "ER"]), stresses("about", ["AH", "B", "AW", "T"])
    ([1, -1, -1, -1], [0, -1, -1, -1])
    """
    stressed, vowel, found = _table().get(entry, ()), -1, []
    for phone in phones:
        vowel += phone[0] in VOWEL_LETTERS
        found.append(int(vowel in stressed) if phone == "AH" else -1)
    return found


@cache
def _table() -> dict[str, tuple[int, ...]]:
    lines = (line.split() for line in _TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {entry: tuple(int(place) for place in places) for entry, *places in lines}


def _entries(path: str | Path) -> list[tuple[str, tuple[str, ...]]]:
    lines = (line.split("#")[0].split() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [(fields[0], tuple(fields[1:])) for fields in lines if fields]


def _make(cmudict: str) -> list[str]:
    """The table's lines, from CMUdict (with stress) and the aligner's dictionary (without, other variant numbers)."""
    from pocketsphinx import get_model_path

    with_stress: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
    for entry, phones in _entries(cmudict):
        plain = tuple(phone.rstrip("012") for phone in phones)
        with_stress.setdefault((re.sub(r"\(\d+\)$", "", entry), plain), phones)
    lines = []
    for entry, plain in _entries(get_model_path("en-us/cmudict-en-us.dict")):
        if "AH" in plain:
            phones = with_stress[re.sub(r"\(\d+\)$", "", entry), plain]
            vowels = [phone for phone in phones if phone[0] in VOWEL_LETTERS]
            places = [str(place) for place, phone in enumerate(vowels) if phone in ("AH1", "AH2")]
            if places:
                lines.append(" ".join([entry, *places]))
    return lines


if __name__ == "__main__":
    print("\n".join(line for line in _TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("#")))
    print("\n".join(_make(sys.argv[1])))
