"""How an utterance of the sample corpora sounds: a synthesiser's voice, the emotion in it, the channel it went through.

All filters have zero phase and the reverberation begins with the direct sound, so phone times stay what they were.
"""

from dataclasses import dataclass, fields
from math import gcd

import numpy as np

from agser_core.phones.espeak import Espeak, SpokenPhone


@dataclass(frozen=True)
class Manner:
    """A way of speaking, as differences from the plain voice; manners add up.

    pitch, pitch_range: eSpeak's steps of 0 .. 99. rate: relative, 0.1 = 10 % faster. level: dB. tilt: dB an octave
    round 1 kHz, positive is brighter. breath: loudness of breath against the voice, amplitude. rough: irregularity of
    the vocal periods, in ms of shift.
    """

    pitch: float = 0.0
    pitch_range: float = 0.0
    rate: float = 0.0
    level: float = 0.0
    tilt: float = 0.0
    breath: float = 0.0
    rough: float = 0.0

    def __add__(self, other: "Manner") -> "Manner":
        return Manner(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Manner)))

    def times(self, factor: float) -> "Manner":
        return Manner(*(factor * getattr(self, field.name) for field in fields(Manner)))


EMOTIONS = {
    "neutral": Manner(),
    "anger": Manner(pitch=8, pitch_range=22, rate=0.10, level=5.0, tilt=2.0, breath=0.0, rough=0.12),
    "happiness": Manner(pitch=16, pitch_range=30, rate=0.06, level=2.0, tilt=0.8),
    "sadness": Manner(pitch=-10, pitch_range=-28, rate=-0.10, level=-5.0, tilt=-2.0, breath=0.10),
}


@dataclass(frozen=True)
class Channel:
    """Room, microphone and recorder. Frequencies in Hz, levels in dB relative to full scale, times in s."""

    sampling_rate: int
    low_cut: float
    high_cut: float
    reverberation: float  # time of decay by 60 dB
    wet: float  # dB of the reverberation relative to the direct sound
    level: float  # dB of plain speech
    noise: float  # dB of the noise
    hum: float  # share of the noise's power that is mains hum


def speak(
    rng: np.random.Generator,
    text: str,
    voice: str,
    words_a_minute: float,
    pitch: float,
    manner: Manner,
    channel: Channel,
    silence: tuple[float, float],
) -> tuple[np.ndarray, list[SpokenPhone]]:
    """One utterance: float32 [n] in [-1, 1] at the channel's sampling rate, and its phones.

    words_a_minute and pitch (eSpeak's 0 .. 99) are the plain voice's. silence: seconds before and after the speech.
    """
    speech = Espeak().speak(
        text,
        voice,
        rate=round(words_a_minute * (1 + manner.rate)),
        pitch=_step(pitch + manner.pitch),
        pitch_range=_step(45 + manner.pitch_range),
    )
    waveform = speech.samples.astype(np.float64) / 32768
    waveform *= 10 ** (manner.level / 20) / np.sqrt(np.mean(waveform**2))  # plain speech has power 1
    waveform = _voice_quality(rng, waveform, speech.sampling_rate, manner)
    before, after = (round(seconds * speech.sampling_rate) for seconds in silence)
    waveform = _record(rng, np.pad(waveform, (before, after)), speech.sampling_rate, channel)
    shift = before / speech.sampling_rate
    phones = [SpokenPhone(p.label, p.stress, round(p.start + shift, 6), round(p.end + shift, 6)) for p in speech.phones]
    return waveform, phones


def _step(value: float) -> int:
    return int(np.clip(round(value), 0, 99))


def _filtered(waveform: np.ndarray, sampling_rate: int, gain) -> np.ndarray:
    """Zero-phase filter: gain maps frequencies in Hz to amplitude factors."""
    from scipy.fft import next_fast_len

    length = next_fast_len(len(waveform) + sampling_rate // 10, real=True)  # room for what would wrap round
    spectrum = np.fft.rfft(waveform, length) * gain(np.fft.rfftfreq(length, 1 / sampling_rate))
    return np.fft.irfft(spectrum, length)[: len(waveform)]


def _voice_quality(rng, waveform: np.ndarray, sampling_rate: int, manner: Manner) -> np.ndarray:
    envelope = np.sqrt(np.maximum(_filtered(waveform**2, sampling_rate, lambda f: 1 / (1 + (f / 25) ** 4)), 0))
    if manner.rough > 0:
        flutter = _filtered(rng.standard_normal(len(waveform)), sampling_rate, lambda f: np.exp(-((f / 70) ** 2)))
        places = np.arange(len(waveform)) + manner.rough / 1000 * sampling_rate * flutter / flutter.std()
        waveform = np.interp(places, np.arange(len(waveform)), waveform)
    if manner.breath > 0:
        breath = _filtered(rng.standard_normal(len(waveform)), sampling_rate, lambda f: (f > 800) * (f < 6000))
        waveform = waveform + manner.breath * envelope * breath / breath.std()
    if manner.tilt:
        power = np.mean(waveform**2)
        waveform = _filtered(
            waveform, sampling_rate, lambda f: 10 ** (manner.tilt * np.log2(np.clip(f, 125, 8000) / 1000) / 20)
        )
        waveform *= np.sqrt(power / np.mean(waveform**2))
    return waveform


def _record(rng, waveform: np.ndarray, sampling_rate: int, channel: Channel) -> np.ndarray:
    from scipy.signal import fftconvolve, resample_poly

    decay = np.exp(
        -np.log(1000) * np.arange(int(channel.reverberation * sampling_rate)) / sampling_rate / channel.reverberation
    )
    room = np.random.default_rng(channel.sampling_rate).standard_normal(len(decay)) * decay  # the corpus' one room
    room *= 10 ** (channel.wet / 20) / np.linalg.norm(room)
    room[0] = 1
    waveform = fftconvolve(waveform, room)[: len(waveform)]
    waveform = _filtered(
        waveform,
        sampling_rate,
        lambda f: 1 / np.sqrt((1 + (channel.low_cut / np.maximum(f, 1)) ** 4) * (1 + (f / channel.high_cut) ** 8)),
    )
    common = gcd(channel.sampling_rate, sampling_rate)
    waveform = resample_poly(waveform, channel.sampling_rate // common, sampling_rate // common)
    hiss, seconds = rng.standard_normal(len(waveform)), np.arange(len(waveform)) / channel.sampling_rate
    hum = np.sin(2 * np.pi * (50 * seconds + rng.random())) + 0.5 * np.sin(2 * np.pi * (150 * seconds + rng.random()))
    noise = np.sqrt(1 - channel.hum) * hiss + np.sqrt(channel.hum) * hum / hum.std()
    waveform = 10 ** (channel.level / 20) * waveform + 10 ** (channel.noise / 20) * noise
    return np.clip(waveform, -1, 1).astype(np.float32)
