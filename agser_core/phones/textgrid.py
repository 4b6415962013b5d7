"""Praat TextGrids, long or short, as the Montreal Forced Aligner writes them: a phone tier and mostly a word tier."""

from pathlib import Path

from agser_core.errors import ClipError
from agser_core.phones.interval import Alignment, Phone, check_fits
from agser_core.phones.inventory import SILENCES, from_ipa, split_stress


def read_textgrid(path: str | Path, duration: float | None = None) -> Alignment:
    """Read the phones, and the words where there is a tier of them, of a TextGrid.

    The tiers are those named "phones" and "words", or whose name ends so ("speaker - phones"). Labels may be ARPABET,
    with or without stress digits, or IPA; silences and spoken noise ("", "sil", "sp", "spn") are left out. A label that
    stands for two ARPABET phones is shared out evenly. duration: length of the clip in s, to check the times against.
    Raises `ClipError` where the file can't be parsed, has no or several phone tiers, holds a label that is neither
    ARPABET nor IPA, or does not fit the clip.
    """
    from praatio import textgrid
    from praatio.utilities.errors import PraatioException

    name = Path(path).name
    if not Path(path).is_file():
        raise _fault(f"there is no file {path}", "correct phones_uri, or leave it empty for the aligner")
    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    except (PraatioException, ValueError, IndexError, KeyError, AttributeError, UnicodeError) as error:
        raise _fault(f"{name} is no readable TextGrid ({type(error).__name__})", "save it again from Praat") from error
    phones = [phone for entry in _tier(grid, "phones", name).entries for phone in _phones(entry, name)]
    if duration is not None:
        check_fits(phones, duration, name)
    words_tier = _tier(grid, "words", name, required=False)
    words = [(e.label, e.start, e.end) for e in words_tier.entries] if words_tier else []
    return Alignment(phones, [word for word in words if word[0].lower() not in SILENCES])


def _phones(entry, name: str) -> list[Phone]:
    label = entry.label.strip()
    if label.lower() in SILENCES:
        return []
    arpabet = split_stress(label)
    pairs = [arpabet] if arpabet else from_ipa(label)
    if pairs is None:
        raise _fault(
            f"{name} has the phone {label!r}, neither ARPABET nor a known IPA symbol",
            "use an MFA model with ARPABET or IPA phones",
        )
    step = (entry.end - entry.start) / len(pairs)
    return [
        Phone(phone, entry.start + i * step, entry.start + (i + 1) * step, stress)
        for i, (phone, stress) in enumerate(pairs)
    ]


def _tier(grid, kind: str, name: str, required: bool = True):
    names = [tier for tier in grid.tierNames if tier.lower().rstrip().endswith(kind)]
    if len(names) > 1 or (required and not names):
        found = ", ".join(grid.tierNames) or "none"
        raise _fault(
            f"{name} must have exactly one tier of {kind}; its tiers: {found}",
            "export one speaker a file, with the tiers 'words' and 'phones'",
        )
    return grid.getTier(names[0]) if names else None


def _fault(reason: str, remedy: str) -> ClipError:
    return ClipError(reason, remedy=remedy, error_class="alignment")
