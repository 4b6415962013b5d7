"""Fundamental frequency and periodicity by autocorrelation (Boersma 1993, Proc. Inst. Phonetic Sciences 17).

librosa offers YIN, which says nothing of voicing, and pYIN, which is some hundred times slower than this.
"""

import numpy as np
import scipy.fft

LOWEST, HIGHEST = 60.0, 500.0  # Hz: the speaking range of adults, excited speech included
_CANDIDATES = 8
_OCTAVE_COST = 0.02  # correlation an octave: of lags that fit alike, the shorter is the period
_JUMP_COST = 0.5  # correlation an octave between neighbouring frames
_LONGEST_LAG = 420  # samples at 16 kHz: beyond half the window the correlation rests on too few samples


def track_pitch(windows: np.ndarray, sampling_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """F0 in Hz [n] and periodicity in [0, 1) [n] of frames [n, window] of at least three periods of the lowest voice.

    Periodicity is the autocorrelation at the period, corrected for the window: r = a(t) / a(0) * w(0) / w(t) with a, w
    the autocorrelations of the windowed signal and of the window (Boersma 1993, eq. 9); r / (1 - r) is the
    harmonics-to-noise power ratio (eq. 4). F0 follows the smoothest path through the peaks. It is always given; whether
    it means anything, r says.
    """
    length = windows.shape[1]
    window = np.hanning(length)
    signal = _autocorrelation((windows - windows.mean(axis=1, keepdims=True)) * window)
    taper = _autocorrelation(window)
    r = signal / np.maximum(signal[:, :1], 1e-9) / (taper / taper[0])

    lags = np.arange(int(sampling_rate / HIGHEST), int(sampling_rate / LOWEST))
    strength = r[:, lags] - _OCTAVE_COST * np.log2(lags / lags[0])
    is_peak = (strength[:, 1:-1] > strength[:, :-2]) & (strength[:, 1:-1] >= strength[:, 2:])
    strength = np.where(is_peak, strength[:, 1:-1], -1.0)
    best = np.sort(np.argpartition(-strength, _CANDIDATES, axis=1)[:, :_CANDIDATES], axis=1)
    path = _smoothest_path(np.take_along_axis(strength, best, axis=1), np.log2(lags[1:-1][best]))
    lag = lags[1:-1][best[np.arange(len(r)), path]]

    before, at, after = (r[np.arange(len(r)), lag + shift] for shift in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.divide(0.5 * (before - after), bend, out=np.zeros_like(bend), where=bend < -1e-9)
    return sampling_rate / (lag + np.clip(shift, -0.5, 0.5)), np.clip(at, 0.0, 0.9999)


def _autocorrelation(signal: np.ndarray) -> np.ndarray:
    """Of the last axis, lags 0 to the longest."""
    size = scipy.fft.next_fast_len(signal.shape[-1] + _LONGEST_LAG, real=True)
    spectrum = scipy.fft.rfft(signal, size, axis=-1)
    return scipy.fft.irfft(np.abs(spectrum) ** 2, size, axis=-1)[..., :_LONGEST_LAG]


def _smoothest_path(strength: np.ndarray, octave: np.ndarray) -> np.ndarray:
    """The candidate of each frame that makes the sum of strengths less the jumps greatest: [n, k], [n, k] -> [n]."""
    total = strength[0].copy()
    came_from = np.zeros(strength.shape, dtype=np.intp)
    for frame in range(1, len(strength)):
        reached = total - _JUMP_COST * np.abs(octave[frame][:, None] - octave[frame - 1])
        came_from[frame] = reached.argmax(axis=1)
        total = strength[frame] + reached.max(axis=1)
    path = np.empty(len(strength), dtype=np.intp)
    path[-1] = total.argmax()
    for frame in range(len(strength) - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path
