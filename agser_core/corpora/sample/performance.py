"""What happens in one clip, as numbers: the sound, its phones, the gestures, the lips and the head. No picture yet.

A performance follows from its `ClipSpec` alone, so the truth beside a corpus is worked out again, not collected.
"""

from dataclasses import dataclass

import numpy as np

from agser_core.corpora.sample.gestures import choose_gesture, lip_path
from agser_core.corpora.sample.plan import STYLES, ClipSpec
from agser_core.corpora.sample.speech import EMOTIONS, Manner, speak
from agser_core.phones.espeak import SpokenPhone


@dataclass(frozen=True)
class Performance:
    """waveform: float32 [n]. phones and gestures: alike long. times: [F] s, of the video frames. lips: [F, 3] opening,
    width, rounding. poses: [F, 3] yaw, pitch, roll in degrees. lamp: [F] radians. gain: [F].
    """

    waveform: np.ndarray
    sampling_rate: int
    phones: list[SpokenPhone]
    gestures: list[int]
    times: np.ndarray
    lips: np.ndarray
    poses: np.ndarray
    lamp: np.ndarray
    gain: np.ndarray


def perform(spec: ClipSpec) -> Performance:
    """Work out a clip; the same spec gives the same numbers."""
    rng = np.random.default_rng(spec.seed)
    style, person = STYLES[spec.corpus], spec.person
    # A clip shows its emotion more or less, and speech varies without any: the label can't be read off one number.
    mood = EMOTIONS[spec.emotion].times(style.acting * max(rng.normal(1, 0.35), 0.3))
    habit = Manner(pitch_range=person.pitch_range, level=person.level, tilt=person.tilt)
    chance = Manner(
        pitch=rng.normal(0, 3),
        pitch_range=rng.normal(0, 8),
        rate=rng.normal(0, 0.03),
        level=rng.normal(0, 1.5),
        tilt=rng.normal(0, 0.4),
    )
    waveform, phones = speak(
        rng,
        spec.transcript,
        person.voice,
        person.pace,
        person.pitch,
        mood + habit + chance,
        style.channel,
        silence=tuple(rng.uniform(0.15, 0.25, 2)),
    )
    gestures = [choose_gesture(rng, phone, spec.emotion, style.other_share) for phone in phones]
    duration = len(waveform) / style.channel.sampling_rate
    times = np.arange(int(np.ceil(duration * style.frame_rate))) / style.frame_rate
    lips = lip_path(rng, phones, gestures, person.vigour, times)
    lively = 0.7 if spec.emotion == "sadness" else 1.0
    poses = np.stack([lively * size * _drift(rng, times) for size in (2.2, 1.6, 1.2)], axis=1)
    poses += rng.normal(0, (1.5, 1.0, 0.8))
    return Performance(
        waveform,
        style.channel.sampling_rate,
        phones,
        gestures,
        times,
        lips,
        poses,
        lamp=0.12 * _drift(rng, times),
        gain=1 + 0.02 * _drift(rng, times),
    )


def _drift(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """A slow smooth movement, about -1.5 .. 1.5: three sine waves of 0.15 to 0.9 Hz."""
    waves = zip(rng.uniform(0.15, 0.9, 3), rng.uniform(0, 2 * np.pi, 3), (0.8, 0.5, 0.3))
    return sum(size * np.sin(2 * np.pi * frequency * times + phase) for frequency, phase, size in waves)
