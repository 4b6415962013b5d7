"""Forced alignment in this process: where each phone of a known transcript lies in the audio.

pocketsphinx with its own English models, which the wheel carries. Two passes: the first places the words, choosing
among their pronunciations and putting silences between them; the second places the phones inside the words. For other
languages the words' pronunciations come from eSpeak NG, mapped to English phones: rough, but within the same model.
"""

from pathlib import Path

import numpy as np

from agser_core.errors import ClipError
from agser_core.media import SAMPLING_RATE
from agser_core.phones.interval import Alignment, Phone
from agser_core.phones.inventory import ARPABET_TO_IPA
from agser_core.phones.pronunciations import Pronunciations, read_pronunciations, word_of, words_of

_FRAME = 0.01  # s
_PADDING = 0.2  # s of near-silence before and after, so that the first and last word have a beginning and an end
_NOISE = 20  # half-width of the noise in 16-bit steps: digital silence has no finite log energy
_PEAK = 0.25  # of full scale, to which every clip is scaled, so that the noise is as far below faint speech as loud
_FAINTEST = 1e-4  # of full scale; below, nothing is there to align
# Wide beams, a tenth slower than the default; RAVDESS: 3 of 720 clips find no path. Wider ones find one for those too,
# but a wrong one: a clip that is refused is better.
_BEAM = 1e-80


class Aligner:
    """A forced aligner; one object aligns any number of clips, and no clip's result depends on those before it.

    pronunciations: path of a dictionary in CMU format for words that the built-in one lacks or says otherwise.
    """

    def __init__(self, pronunciations: str | Path | None = None):
        from pocketsphinx import Config, Decoder

        # bestpath would search again in the word lattice and give phones durations the second pass can't follow
        self._decoder = Decoder(Config(lm=None, loglevel="FATAL", bestpath=False, beam=_BEAM, pbeam=_BEAM, wbeam=_BEAM))
        own = read_pronunciations(pronunciations) if pronunciations else {}
        self._pronunciations = Pronunciations(self._decoder, own)

    def align(
        self, waveform: np.ndarray, sampling_rate: int, transcript: str | None, language: str = "en"
    ) -> Alignment:
        """Align a transcript to its audio.

        waveform: float [n] in [-1, 1], mono, at 16000 Hz. language: ISO 639-1. Returns phones (silences left out) and
        words with times in s from the beginning of the waveform, in steps of 10 ms. The stress of AH is known
        (0: ə, 1: ʌ), as is that of words from the given dictionary or from eSpeak; otherwise it is -1.
        Raises `ClipError` where there is no transcript, a word is in no dictionary, the waveform is silent, or the
        words do not fit into it.
        """
        if sampling_rate != SAMPLING_RATE:
            raise ValueError(f"the aligner takes 16000 Hz, not {sampling_rate}: decode with media.read_audio")
        words = words_of(transcript or "")
        if not words:
            raise ClipError(
                "the clip has no transcript",
                error_class="transcript",
                remedy="add its transcript to the manifest, or give it a TextGrid in phones_uri",
            )
        if np.abs(waveform).max(initial=0) < _FAINTEST:
            raise ClipError("the audio is silent", remedy="check that the right channel was exported")
        entries = self._pronunciations.entries(words, language)
        try:
            found = self._decode(_padded(waveform), entries)
        except RuntimeError as error:
            raise _misfit(words, waveform) from error
        if [word_of(entry) for entry, _ in found] != words:
            raise _misfit(words, waveform)
        return self._alignment(found, len(waveform) / sampling_rate)

    def _decode(self, samples: bytes, entries: list[str]) -> list[tuple[str, list[tuple[str, int, int]]]]:
        """(dictionary entry, [(phone, first frame, one past its last)]) of each word, silences left out."""
        decoder = self._decoder
        decoder.reinit_feat()  # 0.1 ms; without it, phones move by a frame or more depending on the clips before
        decoder.set_align_text(" ".join(entries))
        _pass(decoder, samples)
        if decoder.hyp() is None:  # asked here only: after the second pass, asking it is a segmentation fault
            raise RuntimeError("no path through the words")
        decoder.set_alignment()
        _pass(decoder, samples)
        return [
            (word.name, [(phone.name, phone.start, phone.start + phone.duration) for phone in word])
            for word in decoder.get_alignment()
            if not word.name.startswith(("<", "["))
        ]

    def _alignment(self, found, duration: float) -> Alignment:
        phones, words = [], []
        for entry, frames in found:
            labels = [label for label, _, _ in frames]
            times = [[_time(frame, duration) for frame in bounds] for _, *bounds in frames]
            stresses = self._pronunciations.stresses(entry, labels)
            words.append((word_of(entry), times[0][0], times[-1][1]))
            phones += [
                Phone(label, start, end, stress)
                for label, (start, end), stress in zip(labels, times, stresses, strict=True)
                if label in ARPABET_TO_IPA and end > start
            ]
        return Alignment(phones, words)


def _pass(decoder, samples: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(samples, full_utt=True)  # whole, so that the feature means are this clip's alone
    decoder.end_utt()


def _padded(waveform: np.ndarray) -> bytes:
    margin = round(_PADDING * SAMPLING_RATE)
    samples = np.pad(waveform * (_PEAK * 32767 / np.abs(waveform).max()), margin)
    samples = samples + np.random.default_rng(0).integers(-_NOISE, _NOISE, len(samples))
    return samples.astype(np.int16).tobytes()


def _time(frame: int, duration: float) -> float:
    return min(max(round(frame * _FRAME - _PADDING, 2), 0.0), duration)


def _misfit(words: list[str], waveform: np.ndarray) -> ClipError:
    return ClipError(
        f"the {len(words)} words of the transcript do not fit the {len(waveform) / SAMPLING_RATE:.2f} s of audio",
        remedy="check that the transcript is this clip's",
        error_class="alignment",
    )
