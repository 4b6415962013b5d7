import pytest

from agser_core.phones.espeak import ESPEAK_TO_ARPABET
from agser_core.phones.inventory import (
    ARPABET_TO_IPA,
    SAMPA_TO_ARPABET,
    VOWELS,
    from_ipa,
    ipa,
    is_vowel,
    split_stress,
)
from agser_core.phones.stressed_ah import stresses


def test_the_six_vowels_of_the_method():
    wanted = {("AA", 1): "ɑ", ("AH", 0): "ə", ("EH", 0): "ɛ", ("IY", 2): "i", ("AE", -1): "æ", ("UW", 1): "u"}
    assert {key: ipa(*key) for key in wanted} == wanted
    assert all(is_vowel(*key) for key in wanted) and sorted(wanted.values()) == sorted(VOWELS)
    others = set(ARPABET_TO_IPA) - {"AA", "EH", "IY", "AE", "UW"}
    assert not any(is_vowel(label, stress) for label in others for stress in (-1, 1, 2))
    assert [label for label in others if is_vowel(label, 0)] == ["AH"]


def test_stressed_ah_is_a_switch():
    for stress in (1, 2, -1):
        assert not is_vowel("AH", stress) and ipa("AH", stress) == "ʌ"
        assert is_vowel("AH", stress, stressed_ah=True) and ipa("AH", stress, stressed_ah=True) == "ə"


def test_the_maps_lead_into_arpabet():
    assert len(ARPABET_TO_IPA) == 39 and len(set(ARPABET_TO_IPA.values())) == 39
    assert set(SAMPA_TO_ARPABET.values()) <= set(ARPABET_TO_IPA)
    assert {phone for phones in ESPEAK_TO_ARPABET.values() for phone in phones} <= set(ARPABET_TO_IPA)
    assert ipa("QQ") is None and not is_vowel("")


def test_ipa_goes_there_and_back():
    for label, symbol in ARPABET_TO_IPA.items():
        assert [phone for phone, _ in from_ipa(symbol)] == [label]
    assert from_ipa("ə") == [("AH", 0)] and from_ipa("ʌ") == [("AH", 1)] and from_ipa("ɐ") == [("AH", 1)]
    assert from_ipa("not a phone") is None


def test_foreign_vowels_never_become_one_of_the_six():
    """Front rounded vowels look like neither of their English neighbours."""
    for symbol in ("y", "ʏ", "ø", "œ"):
        assert not any(is_vowel(*phone, stressed_ah=True) for phone in from_ipa(symbol))
    for symbol in ("y", "Y", "9"):
        assert not is_vowel(SAMPA_TO_ARPABET[symbol], 0, stressed_ah=True)


@pytest.mark.parametrize(
    "label, split",
    [
        ("AH0", ("AH", 0)),
        ("AH", ("AH", -1)),
        ("NG", ("NG", -1)),
        ("ah0", None),
        ("AH3", None),
        ("", None),
        ("XX1", None),
    ],
)
def test_stress_digits(label, split):
    assert split_stress(label) == split


@pytest.mark.parametrize(
    "entry, phones, wanted",
    [
        ("the", "DH AH", [0]),
        ("of", "AH V", [1]),
        ("a", "AH", [0]),
        ("love", "L AH V", [1]),
        ("about", "AH B AW T", [0]),
        ("under", "AH N D ER", [1]),
        ("abduction", "AE B D AH K SH AH N", [1, 0]),
    ],
)
def test_the_stress_of_ah_in_english_words(entry, phones, wanted):
    found = stresses(entry, phones.split())
    assert [stress for phone, stress in zip(phones.split(), found, strict=True) if phone == "AH"] == wanted
    assert all(stress == -1 for phone, stress in zip(phones.split(), found, strict=True) if phone != "AH")


def test_every_table_row_is_an_entry_of_the_aligners_dictionary():
    from pocketsphinx import get_model_path

    from agser_core.phones.stressed_ah import _entries, _table

    entries = dict(_entries(get_model_path("en-us/cmudict-en-us.dict")))
    assert len(_table()) > 7000
    for entry, places in _table().items():
        vowels = [phone for phone in entries[entry] if phone[0] in "AEIOU"]
        assert all(vowels[place] == "AH" for place in places)
