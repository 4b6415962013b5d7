"""Hand-crafted low-level descriptors of speech at 100 frames a second: cepstra and the descriptors of eGeMAPS (Eyben et
al., IEEE Trans. Affective Computing 7, 2016) less the formants. All are scaled to a few units: float16 holds them.

Only the cepstra know how loud a clip is: the 0th by its scale, all by a fixed floor under the mel bands. On acted
speech recorded at one gain the floor is worth four points of recall within the corpus; between corpora it is part of
the shift.

Frame i is centred at (i + 0.5) / 100 s.
"""

import numpy as np
import scipy.fft
import scipy.signal

from agser_core.media import SAMPLING_RATE
from agser_core.speech.pitch import track_pitch

HOP = 160  # samples: 10 ms
FRAME_RATE = SAMPLING_RATE / HOP
N_CEPSTRA = 20
NAMES = (
    *(f"cepstrum {i}" for i in range(N_CEPSTRA)),
    "level below the clip's loud frames",  # dB / 10, against the 90th percentile of the clip
    "pitch",  # octaves above 100 Hz, drawn straight through unvoiced stretches
    "voiced",  # 0 or 1
    "periodicity",  # autocorrelation at the period
    "harmonics to noise",  # dB / 10
    "spectral centroid",  # kHz
    "spectral spread",
    "25 % roll-off",
    "50 % roll-off",
    "75 % roll-off",
    "90 % roll-off",
    "spectral flatness",  # ln(geometric mean / mean power)
    "alpha ratio",  # 50-1000 Hz against 1-5 kHz, dB / 10, and so on for the next
    "Hammarberg index",  # peak below 2 kHz against peak in 2-5 kHz
    "slope 0-500 Hz",  # dB / 10 a kHz
    "slope 500-1500 Hz",
    "slope 1500-5000 Hz",
    "0-500 against 500-1000 Hz",
    "above against below 4 kHz",
    "H1-H2",  # levels of harmonics, dB / 10
    "H2-H4",
    "H1-A1",  # first harmonic against the strongest of 400-1000, 1000-2500, 2500-3500 Hz
    "H1-A2",
    "H1-A3",
    "jitter",  # semitones between neighbouring voiced frames
    "shimmer",  # dB / 10 between neighbouring frames, voiced
)

_WINDOW, _FFT = 400, 512  # 25 ms for the spectrum
_HARMONIC_WINDOW, _HARMONIC_FFT = 640, 1024  # 40 ms: harmonics of low voices stand apart
_PITCH_WINDOW = 800  # 50 ms: three periods of 60 Hz
_FLOOR = 1e-10  # power of a bin
_MEL_FLOOR = 1e-8  # power of a mel band of unit area: quiet frames flatten into it as into a room's noise
_FREQUENCY = np.fft.rfftfreq(_FFT, 1 / SAMPLING_RATE)
_HARMONIC_FREQUENCY = np.fft.rfftfreq(_HARMONIC_FFT, 1 / SAMPLING_RATE)


def describe(waveform: np.ndarray) -> np.ndarray:
    """Descriptors of a waveform at 16 kHz: float32 [n] -> float32 [n // 160, len(NAMES)], columns as `NAMES` says."""
    waveform = waveform - waveform.mean(dtype=np.float64)
    frames = _frames(waveform, _WINDOW)
    power = np.abs(scipy.fft.rfft(frames * np.hamming(_WINDOW), _FFT, axis=1)) ** 2 / (0.4 * _WINDOW) + _FLOOR
    level = 10 * np.log10(power.sum(axis=1))
    below = level - np.percentile(level, 90)
    f0, periodicity = track_pitch(_frames(waveform, _PITCH_WINDOW), SAMPLING_RATE)
    voiced = (periodicity > 0.5) & (below > -35)
    octaves = _through_unvoiced(np.log2(f0 / 100), voiced)
    columns = [
        _cepstra(power),
        below / 10,
        octaves,
        voiced,
        periodicity,
        np.clip(10 * np.log10(periodicity / (1 - periodicity) + 1e-4), -10, 30) / 10,
        _shape(power),
        _balance(power),
        _harmonics(_frames(waveform, _HARMONIC_WINDOW), 100 * 2**octaves),
        _perturbation(octaves * 12, level, voiced),
    ]
    return np.column_stack(columns).astype(np.float32)


def _frames(waveform: np.ndarray, window: int) -> np.ndarray:
    """Overlapping frames [n, window] as a view, one every hop, centred on their hop; silence beyond the ends."""
    count = len(waveform) // HOP
    padded = np.pad(waveform, ((window - HOP) // 2, window))
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::HOP][:count]


def _cepstra(power: np.ndarray) -> np.ndarray:
    """Mel-frequency cepstra 0 to 19 of 40 bands, [n, 20]."""
    import librosa

    bands = librosa.filters.mel(sr=SAMPLING_RATE, n_fft=_FFT, n_mels=40, fmin=50)
    return scipy.fft.dct(np.log(power @ bands.T + _MEL_FLOOR), axis=1, norm="ortho")[:, :N_CEPSTRA] / 4


def _through_unvoiced(octaves: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """Pitch smoothed over 5 voiced frames and drawn straight through the others; 0 where nothing is voiced."""
    where = np.flatnonzero(voiced)
    if len(where) == 0:
        return np.zeros(len(octaves))
    return np.interp(np.arange(len(octaves)), where, scipy.signal.medfilt(octaves[where], 5))


def _shape(power: np.ndarray) -> np.ndarray:
    """Centroid, spread, four roll-offs (kHz) and flatness of the spectrum, [n, 7]."""
    share = power / power.sum(axis=1, keepdims=True)
    centroid = share @ _FREQUENCY
    spread = np.sqrt(np.maximum(share @ _FREQUENCY**2 - centroid**2, 0))
    below = np.cumsum(share, axis=1)
    rolloffs = [
        _FREQUENCY[np.minimum((below < part).sum(axis=1), len(_FREQUENCY) - 1)] for part in (0.25, 0.5, 0.75, 0.9)
    ]
    flatness = np.log(power).mean(axis=1) - np.log(power.mean(axis=1))
    return np.column_stack([centroid / 1000, spread / 1000, np.column_stack(rolloffs) / 1000, flatness])


def _balance(power: np.ndarray) -> np.ndarray:
    """How the energy lies over the bands of eGeMAPS: ratios and slopes in dB / 10, [n, 7]."""
    decibel = 10 * np.log10(power)

    def band(low: float, high: float) -> np.ndarray:
        return (_FREQUENCY >= low) & (_FREQUENCY < high)

    def level(low: float, high: float) -> np.ndarray:
        return 10 * np.log10(power[:, band(low, high)].sum(axis=1))

    def slope(low: float, high: float) -> np.ndarray:
        kilohertz = _FREQUENCY[band(low, high)] / 1000
        centred = kilohertz - kilohertz.mean()
        return decibel[:, band(low, high)] @ centred / (centred @ centred)

    columns = [
        level(50, 1000) - level(1000, 5000),
        decibel[:, band(0, 2000)].max(axis=1) - decibel[:, band(2000, 5000)].max(axis=1),
        slope(0, 500),
        slope(500, 1500),
        slope(1500, 5000),
        level(0, 500) - level(500, 1000),
        level(4000, 8000) - level(50, 4000),
    ]
    return np.column_stack(columns) / 10


def _harmonics(frames: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """H1-H2, H2-H4 and the first harmonic against three formant regions in dB / 10, [n, 5]: breathy or tense voice."""
    power = np.abs(scipy.fft.rfft(frames * np.hanning(_HARMONIC_WINDOW), _HARMONIC_FFT, axis=1)) ** 2 + _FLOOR
    decibel = 10 * np.log10(power)
    row = np.arange(len(f0))

    def harmonic(number: int) -> np.ndarray:
        nearest = np.round(f0 * number * _HARMONIC_FFT / SAMPLING_RATE).astype(int)
        nearest = np.clip(nearest, 1, len(_HARMONIC_FREQUENCY) - 2)
        return np.max([decibel[row, nearest + offset] for offset in (-1, 0, 1)], axis=0)

    def strongest(low: float, high: float) -> np.ndarray:
        return decibel[:, (_HARMONIC_FREQUENCY >= low) & (_HARMONIC_FREQUENCY < high)].max(axis=1)

    first, second, fourth = harmonic(1), harmonic(2), harmonic(4)
    regions = [first - strongest(low, high) for low, high in ((400, 1000), (1000, 2500), (2500, 3500))]
    return np.column_stack([first - second, second - fourth, *regions]) / 10


def _perturbation(semitones: np.ndarray, level: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """Change of pitch (at most 2 semitones) and of level (at most 10 dB) from frame to frame where voiced, [n, 2].

    Stand-ins for jitter and shimmer, which proper need the single glottal pulses.
    """
    follows = voiced & np.concatenate([[False], voiced[:-1]])
    jitter = np.where(follows, np.minimum(np.abs(np.diff(semitones, prepend=semitones[:1])), 2), 0)
    shimmer = np.where(voiced, np.minimum(np.abs(np.diff(level, prepend=level[:1])), 10), 0)
    return np.column_stack([jitter, shimmer / 10])
