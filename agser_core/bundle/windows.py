"""Pseudo-phones: what stands for phones where nobody has said which words are spoken."""

from __future__ import annotations

import numpy as np

from agser_core.media import SAMPLING_RATE
from agser_core.phones.interval import Phone

_BELOW = 30.0  # dB under the clip's loud windows, below which a window counts as a pause
_LOUD = 90  # percentile of the windows' levels


def speech_windows(waveform: np.ndarray, seconds: float) -> list[Phone]:
    """Consecutive windows of `seconds` (rounded so that they fill the clip), pauses left out, as aligned phones are.

    waveform: float32 [n] at 16 kHz, not silent. The label of a window is "". There is always at least one.

    >>> [round(w.end - w.start, 3) for w in speech_windows(np.full(16000, 0.5, np.float32), 0.3)]
    [0.333, 0.333, 0.333]
    """
    duration = len(waveform) / SAMPLING_RATE
    count = max(1, round(duration / seconds))
    edges = np.linspace(0, len(waveform), count + 1).astype(int)
    power = np.add.reduceat(waveform.astype(np.float64) ** 2, edges[:-1]) / np.maximum(np.diff(edges), 1)
    level = 10 * np.log10(power + 1e-12)
    heard = level >= np.percentile(level, _LOUD) - _BELOW
    times = edges / SAMPLING_RATE
    return [Phone("", float(times[i]), float(times[i + 1])) for i in np.flatnonzero(heard)]
