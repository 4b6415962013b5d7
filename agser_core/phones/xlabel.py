"""EMO-DB's hand-made phone labels (lablaut): xlabel files with one line a label, "end -1 label diacritics accent".

What the labels mean, as far as this reader uses it (Sendlmeier's group, TU Berlin; the marks as found in the files):

- a label's time is where it ends; it begins where the label before ended;
- a line without a phone (empty or only diacritics, "+hoe", "-sth") goes on with the phone before in another quality;
- a plosive is up to three labels, closure "t", burst "!t", aspiration "tasp": one phone T;
- "_t" is a closure after silence, whose beginning nobody can hear: it counts as silence, the phone begins at its burst;
- ".", "(" and "(gef" are pauses, "?" is the glottal stop;
- the times are early by some 50 ms against the corpus' wav files: over 149 clips the aligner, which is unbiased on
  GRID's word times, places the same phones 52 ms later (quartiles 45 and 62), and the energy of the sonorants fits
  best at 50 ms. `LABEL_DELAY` is added to all times.
"""

import re
from pathlib import Path

from agser_core.errors import ClipError
from agser_core.phones.interval import Phone
from agser_core.phones.inventory import SAMPA_TO_ARPABET

LABEL_DELAY = 0.05  # s
_MISTYPED = {"hoe": "", "gas": "g", "dsap": "d", "!": ""}  # in the corpus as distributed
_PAUSE = re.compile(r"[.(_?\[]|\)")


def read_xlabel(path: str | Path, duration: float | None = None, delay: float = LABEL_DELAY) -> list[Phone]:
    """The phones of an EMO-DB label file, in s from the beginning of its wav file, pauses left out.

    duration: length of the clip in s; phones that do not end within it are left out, as the corpus is in circulation
    with clips cut to 2 s. delay: s to add to the file's times. "@" and "6" are AH with stress 0; other stresses are -1.
    Raises `ClipError` for a file of another format or without phones, an unknown label, or times that go back.
    """
    name = Path(path).name
    _, mark, body = Path(path).read_text(encoding="latin-1").partition("#")
    if not mark:
        raise _fault(f"{name} is no xlabel file: it has no '#' line")
    phones: list[Phone] = []
    start = delay
    for line in body.strip().splitlines():
        fields = line.split(maxsplit=2)
        try:
            end = float(fields[0]) + delay
        except (ValueError, IndexError) as error:
            raise _fault(f"{name} has the line {line!r}, not 'end -1 label'") from error
        if end < start:
            raise _fault(f"the times of {name} go back at {end:.3f} s")
        symbol = _symbol(fields[2] if len(fields) > 2 else "")
        goes_on = bool(phones) and phones[-1].end == start
        if symbol == "":
            if goes_on:
                phones[-1] = Phone(phones[-1].label, phones[-1].start, end, phones[-1].stress)
        elif not _PAUSE.match(symbol):
            label = SAMPA_TO_ARPABET.get(symbol.lstrip("!").removesuffix("asp"))
            if label is None:
                raise _fault(f"{name} has the label {symbol!r}, which no phone is known for")
            later_part = symbol.startswith("!") or symbol.endswith("asp")
            if later_part and goes_on and phones[-1].label == label:
                phones[-1] = Phone(label, phones[-1].start, end, phones[-1].stress)
            elif end > start:
                phones.append(Phone(label, start, end, 0 if label == "AH" else -1))
        start = end
    phones = [phone for phone in phones if duration is None or phone.end <= duration]
    if not phones:
        raise _fault(f"{name} holds no phone" + (f" within {duration:.2f} s" if duration is not None else ""))
    return phones


def _symbol(label: str) -> str:
    """The phone of a label, without diacritics ("+hoe,-sth") and the accent digit behind them; "" if there is none."""
    symbol = re.split(r"\s|[+\-]", label.replace("! ", "!").strip(), maxsplit=1)[0]
    return _MISTYPED.get(symbol, symbol)


def _fault(reason: str) -> ClipError:
    return ClipError(reason, remedy="fetch the label file again, or leave phones_uri empty", error_class="alignment")
