"""What a whole clip says: functionals of its descriptors, as eGeMAPS takes them (Eyben et al., IEEE Trans. Affective
Computing 7, 2016): percentiles, slopes of pitch and level, and the rhythm of voiced stretches.

Taken between the first and the last loud frame, so that silence around the speech does not matter.
"""

import numpy as np
import scipy.signal

from agser_core.speech.descriptors import FRAME_RATE, NAMES

PERCENTILES = (20, 50, 80)
_LOWEST = -3.5  # dB / 10 below the clip's loud frames: quieter frames are pauses
_PEAK = -2.0  # peaks of the level below are no syllables
_LEVEL, _PITCH, _VOICED = (NAMES.index(name) for name in ("level below the clip's loud frames", "pitch", "voiced"))
_SLOPE_FRAMES = 9
_RANKED = [index for index in range(len(NAMES)) if index != _VOICED]
CLIP_NAMES = (
    *(f"{NAMES[index]}, {share} % of loud frames below" for share in PERCENTILES for index in _RANKED),
    "mean rise of level",  # dB / 10 in 100 ms, and so on for the next
    "mean fall of level",
    "mean rise of pitch",  # octaves in 100 ms
    "mean fall of pitch",
    "deviation of the slope of pitch",
    "mean length of voiced stretches",  # seconds
    "deviation of the length of voiced stretches",
    "mean length of unvoiced stretches",
    "deviation of the length of unvoiced stretches",
    "voiced stretches a second",
    "peaks of level a second",
    "share of voiced frames",
    "trend of pitch",  # octaves a second
    "share of loud frames",
)


def describe_clip(descriptors: np.ndarray) -> np.ndarray:
    """Functionals of a clip's descriptors: [n, len(NAMES)], n >= 1 -> float32 [len(CLIP_NAMES)], finite."""
    spoken = np.flatnonzero(descriptors[:, _LEVEL] > _LOWEST)
    descriptors = descriptors[spoken[0] : spoken[-1] + 1]
    loud = descriptors[:, _LEVEL] > _LOWEST
    ranked = np.percentile(descriptors[loud][:, _RANKED], PERCENTILES, axis=0)
    return np.concatenate([ranked.ravel(), _movement(descriptors), _rhythm(descriptors, loud)]).astype(np.float32)


def _movement(descriptors: np.ndarray) -> list[float]:
    """Rise and fall of level and of voiced pitch."""
    level = _slope(np.maximum(descriptors[:, _LEVEL], _LOWEST))
    pitch = _slope(descriptors[:, _PITCH])[descriptors[:, _VOICED] > 0.5]
    sides = [_mean(slope[keep]) for slope in (level, pitch) for keep in (slope > 0, slope < 0)]
    return [*sides, pitch.std() if len(pitch) else 0.0]


def _rhythm(descriptors: np.ndarray, loud: np.ndarray) -> list[float]:
    """Stretches with and without voice, syllable-like peaks, and where the pitch goes."""
    voiced = descriptors[:, _VOICED] > 0.5
    seconds = len(voiced) / FRAME_RATE
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voiced, [0]])))
    begins, ends = edges[::2] / FRAME_RATE, edges[1::2] / FRAME_RATE
    stretches, pauses = ends - begins, begins[1:] - ends[:-1]
    level = scipy.signal.savgol_filter(np.maximum(descriptors[:, _LEVEL], _LOWEST), _SLOPE_FRAMES, 1, mode="nearest")
    peaks, _ = scipy.signal.find_peaks(level, height=_PEAK)
    time = np.flatnonzero(voiced) / FRAME_RATE
    trend = np.polyfit(time, descriptors[voiced, _PITCH], 1)[0] if len(time) > 2 * _SLOPE_FRAMES else 0.0
    lengths = [part for found in (stretches, pauses) for part in (_mean(found), found.std() if len(found) else 0.0)]
    return [*lengths, len(stretches) / seconds, len(peaks) / seconds, voiced.mean(), trend, loud.mean()]


def _slope(values: np.ndarray) -> np.ndarray:
    """Change in 100 ms, fitted over 90 ms."""
    return scipy.signal.savgol_filter(values, _SLOPE_FRAMES, 1, deriv=1, mode="nearest") * FRAME_RATE / 10


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
