"""One vector a clip for who speaks and how: statistics of the embedded descriptors, for speaker communities (SAPA)."""

import numpy as np

from agser_core.speech.descriptors import NAMES, describe

_VOICED = NAMES.index("voiced")
_USED = [
    i for i, name in enumerate(NAMES) if name not in ("cepstrum 0", "level below the clip's loud frames", "voiced")
]
"""Loudness says where the microphone stood, not who spoke."""


def speaker_statistics(waveform: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of the descriptors over the voiced frames of a waveform at 16 kHz: float32 [2 D].

    Over all frames where fewer than ten are voiced. Compare by `unit_vectors`: the columns have different units.
    """
    descriptors = describe(waveform)
    voiced = descriptors[:, _VOICED] > 0.5
    used = descriptors[voiced if voiced.sum() >= 10 else slice(None)][:, _USED]
    return np.concatenate([used.mean(axis=0), used.std(axis=0)])


def unit_vectors(statistics: np.ndarray) -> np.ndarray:
    """Clips' statistics [n, 2 D] to vectors of length 1 for cosines, float32 [n, 2 D].

    Each column is first z-normalised over the given clips. A column that is the same in all clips becomes 0, and so
    does a clip that equals the mean of all.
    """
    deviation = statistics.std(axis=0)
    scaled = (statistics - statistics.mean(axis=0)) / np.where(deviation > 1e-6, deviation, np.inf)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return (scaled / np.where(length > 0, length, 1)).astype(np.float32)
