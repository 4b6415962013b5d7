"""The sample corpora as numbers: gestures over vowels, emotion and channel in the sound."""

import numpy as np
import pytest

from agser_core.corpora.clip import CLASSES
from agser_core.corpora.sample.gestures import GESTURES, NO_GESTURE, choose_gesture, lip_path
from agser_core.corpora.sample.performance import perform
from agser_core.corpora.sample.plan import plan
from agser_core.phones.espeak import SpokenPhone

VOWELS = ("AA", "AH", "EH", "IY", "AE", "UW")


def spoken(*phones):
    return [SpokenPhone(label, stress, start, end) for label, stress, start, end in phones]


def test_only_the_six_vowels_carry_gestures():
    rng = np.random.default_rng(0)
    for label, stress in (("P", -1), ("IH", 1), ("OW", 1), ("AH", 1), ("AH", 2)):
        assert choose_gesture(rng, SpokenPhone(label, stress, 0.0, 0.1), "anger", 0.5) == NO_GESTURE
    for label in VOWELS:
        assert choose_gesture(rng, SpokenPhone(label, 0, 0.0, 0.1), "anger", 0.5) != NO_GESTURE


def test_gestures_depend_on_vowel_and_emotion_but_are_neither():
    rng = np.random.default_rng(0)
    usual = {
        (label, emotion): choose_gesture(rng, SpokenPhone(label, 0, 0.0, 0.1), emotion, other_share=0.0)
        for label in VOWELS
        for emotion in CLASSES
    }
    other = {key: choose_gesture(rng, SpokenPhone(key[0], 0, 0.0, 0.1), key[1], other_share=1.0) for key in usual}
    assert all(usual[key] != other[key] for key in usual)
    assert set(usual.values()) == set(range(len(GESTURES)))
    for label in VOWELS:
        assert len({usual[label, emotion] for emotion in CLASSES}) >= 3
    for gesture in range(len(GESTURES)):
        assert len({label for (label, _), number in (*usual.items(), *other.items()) if number == gesture}) >= 2


@pytest.mark.parametrize("number", range(len(GESTURES)))
def test_lips_take_the_gestures_path_in_the_vowel_and_close_for_its_neighbours(number):
    phones = spoken(("B", -1, 0.30, 0.40), ("AA", 1, 0.40, 0.60), ("M", -1, 0.60, 0.70))
    times = np.array([0.0, 0.35, 0.40, 0.50, 0.60, 0.65, 1.0])
    lips = lip_path(np.random.default_rng(0), phones, [NO_GESTURE, number, NO_GESTURE], 1.0, times)
    path = np.array(GESTURES[number].path)
    np.testing.assert_allclose(lips[2:5, 1:], path[:, 1:], atol=1e-9)
    np.testing.assert_allclose(lips[2:5, 0] / path[:, 0], (lips[2:5, 0] / path[:, 0]).mean(), rtol=0.05)
    np.testing.assert_allclose(lips[2:5, 0], path[:, 0], rtol=0.15)
    np.testing.assert_allclose(lips[[1, 5], 0], 0, atol=1e-9)
    assert lips[0, 0] < 0.02 and lips[-1, 0] < 0.05


def test_performance_is_consistent_and_repeatable():
    spec = plan("birch")[5]
    one, two = perform(spec), perform(spec)
    assert np.array_equal(one.waveform, two.waveform) and np.array_equal(one.lips, two.lips)
    assert one.phones == two.phones and one.gestures == two.gestures
    assert one.waveform.dtype == np.float32 and np.abs(one.waveform).max() <= 1
    assert len(one.times) == len(one.lips) == len(one.poses) == len(one.lamp) == len(one.gain)
    duration = len(one.waveform) / one.sampling_rate
    assert one.phones[0].start > 0.1 and duration - one.phones[-1].end > 0.1
    assert one.times[-1] < duration <= one.times[-1] + 1 / 25 + 1e-9
    assert one.lips[:, 0].min() >= 0 and one.lips[:, 0].max() <= 0.36


def test_every_gesture_occurs_in_both_corpora_with_other_shares():
    shares = []
    for name in ("alder", "birch"):
        gestures = np.array([g for spec in plan(name, speakers=2) for g in perform(spec).gestures if g != NO_GESTURE])
        shares.append(np.bincount(gestures, minlength=len(GESTURES)) / len(gestures))
    assert min(map(min, shares)) > 0.03
    assert 0.05 < np.abs(shares[0] - shares[1]).sum() / 2 < 0.3


def test_emotion_shows_in_level_and_brightness_of_the_speech():
    level, brightness = {}, {}
    for emotion in CLASSES:
        clips = [perform(spec) for spec in plan("alder", speakers=2) if spec.emotion == emotion]
        level[emotion] = np.mean([20 * np.log10(np.sqrt(np.mean(clip.waveform**2))) for clip in clips])
        spectra = [(np.abs(np.fft.rfft(clip.waveform)) ** 2, clip) for clip in clips]
        brightness[emotion] = np.mean(
            [10 * np.log10(power[len(power) // 12 :].sum() / power[: len(power) // 12].sum()) for power, _ in spectra]
        )  # above against below 2 kHz
    assert level["anger"] > level["neutral"] + 2 > level["sadness"] + 4
    assert brightness["anger"] > brightness["neutral"] + 1 > brightness["sadness"] + 2


def test_channels_differ():
    alder, birch = perform(plan("alder")[0]), perform(plan("birch")[0])
    assert (alder.sampling_rate, birch.sampling_rate) == (48000, 44100)
    quiet = [20 * np.log10(clip.waveform[:5000].std()) for clip in (alder, birch)]
    loud = [20 * np.log10(clip.waveform.std()) for clip in (alder, birch)]
    assert loud[0] > loud[1] + 2 and quiet[1] > quiet[0] + 4
