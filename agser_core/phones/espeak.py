"""eSpeak NG through ctypes: pronunciations of any of its languages, and speech with its own phone times.

Library and data come from the wheel `espeakng-loader`; no system package is needed. The library keeps all its state in
global variables and some of it (noise, phase) from one utterance to the next, so that what it says depends on what it
said before. Each call here therefore loads it afresh and unloads it, which takes 5 ms and makes speech reproducible.
"""

import _ctypes
import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from agser_core.errors import ClipError

# IPA symbols as eSpeak writes them -> nearest ARPABET phones. Read greedily, the longest symbol first.
ESPEAK_TO_ARPABET: dict[str, tuple[str, ...]] = {
    symbol: tuple(phones.split())
    for phones, symbols in {
        # vowels of English, then the nearest English vowel for those of other languages
        "AA": "ɑː ɑ ɒ ɑ̃ aː",
        "AE": "æ æː a",
        "AH": "ə ɐ ʌ ɘ ɵ əː",
        "AO": "ɔː ɔ ɔ̃",
        "AW": "aʊ aʊ̯ au",
        "AY": "aɪ aɪ̯ ai",
        "EH": "ɛ ɛː e ɛ̃",
        "ER": "ɚ ɜː ɜ ɝ œ øː ø œː œ̃",
        "EY": "eɪ eː ei",
        "IH": "ɪ ɪː ᵻ ɨ",
        "IY": "i iː y yː ʏ",
        "OW": "oʊ oː o əʊ õ ɔʊ",
        "OY": "ɔɪ ɔø ɔʏ ɔy",
        "UH": "ʊ",
        "UW": "u uː ʉ ʉː ɯ ũ",
        "AA R": "ɑːɹ",
        "AO R": "ɔːɹ oːɹ",
        "EH R": "ɛɹ eəɹ",
        "IH R": "ɪɹ iəɹ",
        "UH R": "ʊɹ",
        "AY ER": "aɪɚ",
        "AY AH": "aɪə",
        "IY AH": "iə",
        "AH L": "əl l̩",
        "AH N": "n̩",
        "AH M": "m̩",
        # consonants
        "B": "b β",
        "CH": "tʃ tɕ tʂ",
        "D": "d ɖ",
        "DH": "ð",
        "F": "f ɸ",
        "G": "ɡ g ɣ",
        "HH": "h x χ ħ ɦ",
        "JH": "dʒ dʑ",
        "K": "k q c",
        "L": "l ɫ ɭ ʎ",
        "M": "m",
        "N": "n ɲ ɳ",
        "NG": "ŋ",
        "P": "p",
        "P F": "pf",
        "R": "ɹ r ʁ ʀ ɾɾ ɻ",
        "S": "s",
        "SH": "ʃ ç ʂ ɕ",
        "T": "t ɾ ʈ",
        "T S": "ts",
        "TH": "θ",
        "V": "v ʋ",
        "W": "w ɥ ʍ",
        "Y": "j ʝ",
        "Z": "z",
        "ZH": "ʒ ʐ ʑ",
    }.items()
    for symbol in symbols.split()
}
_LONGEST = max(map(len, ESPEAK_TO_ARPABET))
VOWEL_LETTERS = "AEIOU"  # an ARPABET phone is a vowel exactly if it starts with one of these

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_OPTIONS = 0x1 | 0x2 | 0x8000  # phone events; their names in IPA; do not exit the process on an error
_EVENT_END, _EVENT_PHONE = 0, 7
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
_POSITION_CHARACTER, _CHARACTERS_UTF8 = 1, 1
# eSpeak also sends nameless events: a glide (part of the phone before) and pauses (longer).
_SHORTEST_PAUSE = 0.1
# It marks a stop at its release and writes the closure before it as zeros; by the custom of phonetics that is part of
# the stop. (Voices with an echo fill the closure; theirs stays with the phone before.)
_STOPS = frozenset("P T K B D G CH JH".split())
_SHORTEST_CLOSURE, _LONGEST_CLOSURE = 0.01, 0.1


class _Identity(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identity),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class SpokenPhone:
    """One phone of synthetic speech: ARPABET `label` without stress, `stress` 0, 1 or 2 (-1: consonant), times in s."""

    label: str
    stress: int
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """Synthetic speech: `samples` int16 [n], `sampling_rate` in Hz, and the phones in order; pauses are left out."""

    samples: np.ndarray
    sampling_rate: int
    phones: list[SpokenPhone]


def to_arpabet(symbols: str) -> list[tuple[str, int]]:
    """Translate IPA as eSpeak writes it into (ARPABET label, stress) pairs.

    Stress is 0, 1 or 2 for vowels and -1 for consonants. A stressed-quality `ʌ` without a mark counts as 2, because
    ARPABET's AH0 is the schwa only. Symbols with no counterpart in English, such as the glottal stop, are dropped.

    >>> to_arpabet("bˈʌt")
    [('B', -1), ('AH', 1), ('T', -1)]
    >>> to_arpabet("ˈaɪɚ")
    [('AY', 1), ('ER', 0)]
    """
    phones, stress, place = [], 0, 0
    while place < len(symbols):
        if symbols[place] in "ˈˌ":
            stress, place = (1 if symbols[place] == "ˈ" else 2), place + 1
            continue
        for length in range(_LONGEST, 0, -1):
            symbol = symbols[place : place + length]
            if len(symbol) == length and symbol in ESPEAK_TO_ARPABET:
                for label in ESPEAK_TO_ARPABET[symbol]:
                    if label[0] not in VOWEL_LETTERS:
                        phones.append((label, -1))
                    else:
                        phones.append((label, 2 if symbol == "ʌ" and stress == 0 else stress))
                        stress = 0
                place += length
                break
        else:
            place += 1
    return phones


class Espeak:
    """The synthesiser. Raises `ClipError` for a voice it does not have. Threads wait for each other."""

    def pronounce(self, text: str, voice: str) -> list[str]:
        """ARPABET phones, without stress, of a word or sentence in the language of `voice` ("en-us", "de", ...)."""
        return [label for label, _ in self.transcribe(text, voice)]

    def transcribe(self, text: str, voice: str) -> list[tuple[str, int]]:
        """(ARPABET label, stress) of a word or sentence; stress is 0, 1 or 2 for vowels, -1 for consonants."""
        with _loaded(voice) as (library, _):
            rest, parts = ctypes.c_char_p(text.encode()), []
            while rest.value is not None:  # one call a clause
                parts.append(library.espeak_TextToPhonemes(ctypes.byref(rest), _CHARACTERS_UTF8, 0x2).decode())
        return to_arpabet(" ".join(parts))

    def speak(
        self, text: str, voice: str, *, rate: int = 150, pitch: int = 50, pitch_range: int = 50, volume: int = 100
    ) -> Speech:
        """Synthesise a text.

        voice: eSpeak voice with or without a variant, "en-us" or "en-us+f3". rate: words a minute, 80 .. 450.
        pitch, pitch_range: 0 .. 99. volume: 0 .. 200, 100 as is. The same call gives the same samples.
        A symbol that stands for several ARPABET phones is shared out evenly among them.
        """
        chunks: list[np.ndarray] = []
        marks: list[tuple[int, str]] = []  # sample, IPA symbol

        def receive(samples, count, events) -> int:
            if count > 0 and samples:
                chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
            place = 0
            while events[place].type != _EVENT_END:
                if events[place].type == _EVENT_PHONE:
                    symbol = bytes(events[place].id.string).split(b"\0")[0]
                    marks.append((events[place].sample, symbol.decode("utf-8", "ignore")))
                place += 1
            return 0

        callback, data = _Callback(receive), text.encode() + b"\0"
        with _loaded(voice) as (library, sampling_rate):
            library.espeak_SetSynthCallback(callback)
            for parameter, value in ((_RATE, rate), (_VOLUME, volume), (_PITCH, pitch), (_RANGE, pitch_range)):
                library.espeak_SetParameter(parameter, int(value), 0)
            library.espeak_Synth(data, len(data), 0, _POSITION_CHARACTER, 0, _CHARACTERS_UTF8, None, None)
            library.espeak_Synchronize()
        samples = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
        return Speech(samples, sampling_rate, _phones(marks, samples, sampling_rate))


def _phones(marks: list[tuple[int, str]], samples: np.ndarray, sampling_rate: int) -> list[SpokenPhone]:
    phones: list[SpokenPhone] = []
    starts = [_start(sample, symbol, samples, sampling_rate) for sample, symbol in marks]
    for (_, symbol), start, end in zip(marks, starts, starts[1:] + [len(samples) / sampling_rate]):
        labels = to_arpabet(symbol)
        if not labels and phones and end - start < _SHORTEST_PAUSE and phones[-1].end == start:
            last = phones.pop()
            phones.append(SpokenPhone(last.label, last.stress, last.start, end))
        edges = np.linspace(start, end, len(labels) + 1).tolist()
        phones += [SpokenPhone(*pair, *times) for pair, times in zip(labels, zip(edges, edges[1:]))]
    return phones


def _start(mark: int, symbol: str, samples: np.ndarray, sampling_rate: int) -> float:
    """Where a phone begins, in s: at its mark, a stop at the silence before it."""
    labels = to_arpabet(symbol)
    if labels and labels[0][0] in _STOPS:
        before = samples[max(mark - int(_LONGEST_CLOSURE * sampling_rate), 0) : mark]
        sounding = np.flatnonzero(before)
        silent = len(before) - (sounding[-1] + 1 if len(sounding) else 0)
        if silent >= _SHORTEST_CLOSURE * sampling_rate:
            mark -= silent
    return mark / sampling_rate


_one_at_a_time = threading.Lock()


@contextmanager
def _loaded(voice: str) -> Iterator[tuple[ctypes.CDLL, int]]:
    """A freshly loaded library that speaks with `voice`, and its sampling rate in Hz."""
    import espeakng_loader

    with _one_at_a_time:
        ctypes.CDLL(None).srand(1)  # the library's noise comes from the C library's rand
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        try:
            library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
            library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
            library.espeak_SetParameter.argtypes = [ctypes.c_int] * 3
            library.espeak_Synth.argtypes = [
                ctypes.c_char_p,
                ctypes.c_size_t,
                ctypes.c_uint,
                ctypes.c_int,
                ctypes.c_uint,
                ctypes.c_uint,
                ctypes.c_void_p,
                ctypes.c_void_p,
            ]
            library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
            library.espeak_TextToPhonemes.restype = ctypes.c_char_p
            data = espeakng_loader.get_data_path()
            sampling_rate = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data.encode(), _OPTIONS)
            if sampling_rate <= 0:
                raise RuntimeError(f"eSpeak NG did not start with the data in {data}: reinstall espeakng-loader")
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ClipError(
                    f"eSpeak NG has no voice {voice!r}",
                    remedy="use one of its voices: en-us, de, fr ...",
                    error_class="transcript",
                )
            yield library, sampling_rate
            library.espeak_Terminate()
        finally:
            _ctypes.dlclose(library._handle)
