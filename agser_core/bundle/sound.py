"""Audio as strangers bring it: any rate, any channels, any length, and often not what its name says."""

from __future__ import annotations

from math import gcd
from pathlib import Path

import numpy as np

from agser_core import media
from agser_core.errors import ClipError
from agser_core.media import SAMPLING_RATE

LONGEST = 60.0  # s; the models are trained on single utterances
_SOUND_FILES = {".wav", ".flac", ".aif", ".aiff"}  # as `media.read_audio` does, so that FFmpeg is not loaded for them
_FAINTEST = 1e-4  # of full scale; below, nothing is there to hear
_CHANNELS = 32  # an array with more columns than that is no sound with channels


def read_clip(path: str) -> tuple[np.ndarray, str | None]:
    """Waveform at 16 kHz (float32 [n] in [-1, 1]) of a file, and a warning where the sound is poorer than training's.

    Raises ClipError for what can't be decoded, is silent, or is longer than LONGEST (without decoding it).
    """
    if Path(path).suffix.lower() in _SOUND_FILES:
        rate, duration = _declared(path)
    else:
        info = media.probe(path)
        rate, duration = info.sampling_rate, info.duration
    _check_length(duration or 0.0)
    waveform = media.read_audio(path)
    _check_length(len(waveform) / SAMPLING_RATE)
    _check_audible(waveform)
    return waveform, _warning(rate)


def as_waveform(samples: np.ndarray, sampling_rate: int) -> tuple[np.ndarray, str | None]:
    """The same of samples in memory: float in [-1, 1] or integers, [n], [n, channels] or [channels, n]."""
    samples = np.asarray(samples)
    if samples.ndim == 2 and min(samples.shape) <= _CHANNELS:
        samples = samples.mean(axis=int(np.argmin(samples.shape)), dtype=np.float64) / _full_scale(samples.dtype)
    elif samples.ndim == 1:
        samples = samples / _full_scale(samples.dtype)
    else:
        raise ClipError(f"an array of shape {samples.shape} is no waveform", remedy="give [n] or [n, channels]")
    if not sampling_rate or sampling_rate < 0 or int(sampling_rate) != sampling_rate:
        raise ClipError(f"a sampling rate of {sampling_rate!r} Hz is none", remedy="give it in Hz, such as 16000")
    if len(samples) == 0:
        raise ClipError("the waveform holds no sample", remedy="leave the clip out")
    if not np.isfinite(samples).all():
        share = 1 - np.isfinite(samples).mean()
        raise ClipError(f"{share:.1%} of the samples are not numbers", remedy="mend or leave out the clip")
    _check_length(len(samples) / sampling_rate)
    if np.abs(samples).max() > 4:
        raise ClipError(
            f"the samples reach {np.abs(samples).max():.0f}, full scale is 1", remedy="scale the waveform to [-1, 1]"
        )
    if sampling_rate != SAMPLING_RATE:
        from scipy.signal import resample_poly

        divisor = gcd(int(sampling_rate), SAMPLING_RATE)
        samples = resample_poly(samples, SAMPLING_RATE // divisor, int(sampling_rate) // divisor)
    waveform = np.clip(samples, -1, 1).astype(np.float32)
    _check_audible(waveform)
    return waveform, _warning(sampling_rate)


def _declared(path: str) -> tuple[int | None, float]:
    """Sampling rate and seconds that a sound file declares; what is wrong with it, `media.read_audio` says."""
    import soundfile

    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError):
        return None, 0.0
    return info.samplerate, info.duration


def _full_scale(dtype: np.dtype) -> float:
    return float(np.iinfo(dtype).max) + 1 if np.issubdtype(dtype, np.signedinteger) else 1.0


def _check_length(seconds: float) -> None:
    if seconds > LONGEST:
        raise ClipError(
            f"{seconds:.0f} s of audio are more than one utterance (at most {LONGEST:.0f} s)",
            remedy="cut the recording at its pauses and predict the pieces",
            error_class="encoder",
        )


def _check_audible(waveform: np.ndarray) -> None:
    if np.abs(waveform).max(initial=0) < _FAINTEST:
        raise ClipError("the audio is silent", remedy="check that the right channel was exported")


def _warning(rate: int | None) -> str | None:
    if rate and rate < SAMPLING_RATE:
        return f"recorded at {rate} Hz: nothing above {rate // 2} Hz, which the model expects to hear"
    return None
