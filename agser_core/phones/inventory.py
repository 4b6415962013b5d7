"""The phone inventory: ARPABET, its IPA, the six vowels of the method, and the maps into it.

Every source of phones (aligner, TextGrid, label file) is brought to ARPABET without stress, plus the stress. Phones of
other languages get the nearest ARPABET phone, but a vowel that is not one of the method's six never becomes one of
them: German /y/ is rounded and front, so it is neither IY nor UW here.
"""

import re

from agser_core.phones.espeak import ESPEAK_TO_ARPABET

ARPABET_TO_IPA: dict[str, str] = {
    "AA": "ɑ",
    "AE": "æ",
    "AH": "ʌ",
    "AO": "ɔ",
    "AW": "aʊ",
    "AY": "aɪ",
    "B": "b",
    "CH": "tʃ",
    "D": "d",
    "DH": "ð",
    "EH": "ɛ",
    "ER": "ɝ",
    "EY": "eɪ",
    "F": "f",
    "G": "ɡ",
    "HH": "h",
    "IH": "ɪ",
    "IY": "i",
    "JH": "dʒ",
    "K": "k",
    "L": "l",
    "M": "m",
    "N": "n",
    "NG": "ŋ",
    "OW": "oʊ",
    "OY": "ɔɪ",
    "P": "p",
    "R": "ɹ",
    "S": "s",
    "SH": "ʃ",
    "T": "t",
    "TH": "θ",
    "UH": "ʊ",
    "UW": "u",
    "V": "v",
    "W": "w",
    "Y": "j",
    "Z": "z",
    "ZH": "ʒ",
}
VOWELS = ("ɑ", "ə", "ɛ", "i", "æ", "u")  # of the gesture method; in ARPABET: AA, AH0, EH, IY, AE, UW
SILENCES = frozenset({"", "sil", "sp", "spn", "<eps>", "<sil>", "<s>", "</s>", "silence", "noise", "+noise+", "+spn+"})

# EMO-DB's labels (SAMPA with own additions) without diacritics -> ARPABET. X is the uvular r, 4 the tapped one; V, B,
# D, G are the opened v, b, d, g; a digit or @ behind a vowel is its vocalised r; "?" (glottal stop) is no phone here.
SAMPA_TO_ARPABET: dict[str, str] = {
    symbol: phone
    for phone, symbols in {
        "AA": "a A a: a6",
        "AE": "{",
        "AH": "@ 6 @6 @a @O @E",
        "AO": "O",
        "AW": "aU AU aO AO ao OU",
        "AY": "aI",
        "B": "b B",
        "CH": "tS",
        "D": "d D",
        "EH": "E E:",
        "ER": "9 8",
        "EY": "e e: e@ E6",
        "F": "f",
        "G": "g G",
        "HH": "h H x",
        "IH": "I i6 I6 I@ i@ ia",
        "IY": "i i:",
        "K": "k",
        "L": "l L",
        "M": "m mm",
        "N": "n nn",
        "NG": "N NN",
        "OW": "o o:",
        "OY": "OY",
        "P": "p",
        "R": "r R X 4",
        "S": "s ss",
        "SH": "S C",
        "T": "t",
        "UH": "U y y: Y Y6",
        "UW": "u u:",
        "V": "v V vv",
        "Y": "j J",
        "Z": "z",
        "ZH": "Z",
    }.items()
    for symbol in symbols.split()
}
# What the Montreal Forced Aligner's IPA models write otherwise than eSpeak; STRUT is its plain "ɐ".
_IPA_TO_ARPABET = {
    "aj": ("AY",),
    "aw": ("AW",),
    "ej": ("EY",),
    "ow": ("OW",),
    "əw": ("OW",),
    "ɔj": ("OY",),
    "y": ("UH",),
    "ʏ": ("UH",),
    "ɟ": ("G",),
    "ʉ": ("UW",),
    "t̪": ("T",),
    "d̪": ("D",),
    "cʷ": ("K",),
}
_IPA_DIACRITICS = re.compile("[ːˑʰʲʷˠˤ̪̩̥̃̈̚˞ˈˌ]")


def ipa(label: str, stress: int = -1, *, stressed_ah: bool = False) -> str | None:
    """IPA of an ARPABET phone; None for a label that is not ARPABET.

    AH without stress (AH0) is ə. AH with stress, or of unknown stress, is ʌ, or ə too where `stressed_ah` is set.

    >>> ipa("AH", 0), ipa("AH", 1), ipa("AH", 1, stressed_ah=True), ipa("IY", 1)
    ('ə', 'ʌ', 'ə', 'i')
    """
    if label == "AH" and (stress == 0 or stressed_ah):
        return "ə"
    return ARPABET_TO_IPA.get(label)


def is_vowel(label: str, stress: int = -1, *, stressed_ah: bool = False) -> bool:
    """Whether an ARPABET phone is one of the six vowels of the method (stressed AH only with the switch)."""
    return ipa(label, stress, stressed_ah=stressed_ah) in VOWELS


def split_stress(label: str) -> tuple[str, int] | None:
    """ARPABET label with or without a stress digit -> (label, stress or -1); None if it is not ARPABET.

    >>> split_stress("AH0"), split_stress("T"), split_stress("tʲ")
    (('AH', 0), ('T', -1), None)
    """
    match = re.fullmatch(r"([A-Z]{1,2})([012]?)", label)
    if match is None or match[1] not in ARPABET_TO_IPA:
        return None
    return match[1], int(match[2]) if match[2] else -1


def from_ipa(symbol: str) -> list[tuple[str, int]] | None:
    """One IPA phone -> its (ARPABET label, stress) pairs, mostly one; None if it has no counterpart.

    Length marks and secondary articulations are ignored. ə is AH0; ʌ and ɐ are AH1; other stresses are not known.

    >>> from_ipa("tʲ"), from_ipa("ə"), from_ipa("ɑː")
    ([('T', -1)], [('AH', 0)], [('AA', -1)])
    """
    for form in (symbol, _IPA_DIACRITICS.sub("", symbol)):
        phones = _IPA_TO_ARPABET.get(form) or ESPEAK_TO_ARPABET.get(form)
        if phones:
            stress = 0 if form.startswith("ə") else 1
            return [(phone, stress if phone == "AH" else -1) for phone in phones]
    return None
