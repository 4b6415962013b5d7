import numpy as np
import pytest

from agser_core.errors import ClipError
from agser_core.phones.espeak import ESPEAK_TO_ARPABET, Espeak, to_arpabet

ARPABET = set(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()
)


def test_every_symbol_maps_to_arpabet():
    assert {label for labels in ESPEAK_TO_ARPABET.values() for label in labels} == ARPABET


def test_longest_symbol_wins_and_stress_goes_to_the_vowel():
    assert to_arpabet("wˈʌt") == [("W", -1), ("AH", 1), ("T", -1)]
    assert to_arpabet("fˈaɪɚ əl") == [("F", -1), ("AY", 1), ("ER", 0), ("AH", 0), ("L", -1)]
    assert to_arpabet("bʌt") == [("B", -1), ("AH", 2), ("T", -1)]
    assert to_arpabet("ʔ_") == []


def test_pronounces_english_and_german():
    assert Espeak().pronounce("happy", "en-us") == ["HH", "AE", "P", "IY"]
    assert Espeak().transcribe("animal", "en-us")[0] == ("AE", 1)
    assert Espeak().pronounce("schön", "de") == ["SH", "ER", "N"]


def test_phone_times_follow_each_other_and_the_sound():
    speech = Espeak().speak("we see a sad man", "en-us", rate=120)
    assert [phone.label for phone in speech.phones] == "W IY S IY AH S AE D M AE N".split()
    times = np.array([(phone.start, phone.end) for phone in speech.phones])
    assert (times[:, 1] > times[:, 0]).all() and (times[1:, 0] >= times[:-1, 1]).all()
    assert times[-1, 1] <= len(speech.samples) / speech.sampling_rate
    sample = (times * speech.sampling_rate).astype(int)
    # The hiss of each S crosses zero far more often than the vowel after it.
    crossings = [np.mean(np.diff(np.sign(speech.samples[a:b])) != 0) for a, b in sample]
    assert crossings[2] > 3 * crossings[3] and crossings[5] > 3 * crossings[6]


def test_speech_does_not_depend_on_what_was_said_before():
    first = Espeak().speak("a happy queen", "en-us+f3", rate=130, pitch=70)
    Espeak().speak("etwas ganz anderes", "de", rate=200)
    again = Espeak().speak("a happy queen", "en-us+f3", rate=130, pitch=70)
    assert np.array_equal(first.samples, again.samples) and first.phones == again.phones


def test_unknown_voice_is_named():
    with pytest.raises(ClipError, match="no voice 'xx'"):
        Espeak().speak("a", "xx")


def test_closure_belongs_to_the_stop():
    speech = Espeak().speak("a happy crew", "en-us+m3", rate=140)
    loudness = {}
    for phone in speech.phones:
        first, last = int(phone.start * speech.sampling_rate), int(phone.end * speech.sampling_rate)
        loudness[phone.label] = np.abs(speech.samples[first:last].astype(float))
    for stop in ("P", "K"):
        tenth = len(loudness[stop]) // 10
        assert loudness[stop][:tenth].max() == 0 < loudness[stop][-3 * tenth :].max()
    assert loudness["AE"][-len(loudness["AE"]) // 10 :].max() > 0
