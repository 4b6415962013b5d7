"""One corpus as arrays: what training, prediction and evaluation read.

Letters in the shapes: C clips, P phones of all these clips, R rows of the vector table, L encoder layers, D encoder
dimension, K gestures, G normalisation groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from agser_core.corpora.clip import CLASSES
from agser_core.errors import ConfigError
from agser_core.ragged import ranges
from agser_core.ser.frames import Frames

UNLABELLED = -1
Normalisation = Literal["none", "corpus", "speaker"]
_CHUNK = 8192  # phone vectors read at once when statistics are taken: bounds the memory of a memory-mapped table


@dataclass(frozen=True)
class SpeechData:
    """Phone vectors of one corpus (or a part of it) with keys for the anchors and labels for the source side.

    vectors     float16|float32 [R, L, D], may be memory-mapped; never copied, phone p is `vectors[rows[p]]`
    offsets     int64 [C+1]: clip c owns phones offsets[c] .. offsets[c+1]-1
    phone       int16 [P] code of the phone, the same in every corpus, -1 unknown
    is_vowel    bool [P] one of the vowels of the method
    has_mouth   bool [P] the mouth was tracked over this phone
    gesture     int32 [P] cluster, -1 none
    membership  float32 [P, K] share of each cluster, rows sum to 1 (all 0 where there is no gesture)
    clip_id, speaker   str [C]
    emotion     int8 [C] index into `classes`, -1 other or unknown
    """

    corpus: str
    vectors: np.ndarray
    offsets: np.ndarray
    phone: np.ndarray
    is_vowel: np.ndarray
    has_mouth: np.ndarray
    gesture: np.ndarray
    membership: np.ndarray
    clip_id: np.ndarray
    speaker: np.ndarray
    emotion: np.ndarray
    classes: tuple[str, ...] = CLASSES
    rows: np.ndarray | None = None
    frames: Frames | None = None  # of the same clips and phones, where the encoder is to be fine-tuned
    # normalisation is applied when a batch is read: (vector - centre[group of its clip]) / scale[group]
    centre: np.ndarray | None = field(default=None, repr=False)  # float32 [G, L, D]
    scale: np.ndarray | None = field(default=None, repr=False)  # float32 [G, L, D]
    group: np.ndarray | None = field(default=None, repr=False)  # int32 [C]

    def __post_init__(self) -> None:
        clips, phones = len(self.clip_id), int(self.offsets[-1])
        if self.rows is None:
            object.__setattr__(self, "rows", np.arange(phones, dtype=np.int64))
        for name in ("phone", "is_vowel", "has_mouth", "gesture", "membership", "rows"):
            if len(getattr(self, name)) != phones:
                raise ConfigError(
                    f"{self.corpus}: {name} has {len(getattr(self, name))} rows, offsets say {phones} phones"
                )
        for name in ("speaker", "emotion"):
            if len(getattr(self, name)) != clips or len(self.offsets) != clips + 1:
                raise ConfigError(f"{self.corpus}: {clips} clips, but {name} or offsets has another length")
        if clips and np.diff(self.offsets).min() < 1:
            raise ConfigError(f"{self.corpus}: a clip without a phone; leave such clips out")

    def __len__(self) -> int:
        return len(self.clip_id)

    @property
    def n_layers(self) -> int:
        return self.vectors.shape[1]

    @property
    def dimension(self) -> int:
        return self.vectors.shape[2]

    @property
    def lengths(self) -> np.ndarray:
        """Phones of each clip, int64 [C]."""
        return np.diff(self.offsets)

    @property
    def clip_of_phone(self) -> np.ndarray:
        """Clip index of each phone, int64 [P]."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, clips: np.ndarray) -> SpeechData:
        """The given clips in the given order; `vectors` is shared, not copied. Takes indices or a bool mask [C]."""
        clips = np.flatnonzero(clips) if np.asarray(clips).dtype == bool else np.asarray(clips, dtype=np.int64)
        phones = phones_of(self.offsets, clips)
        per_phone = ("phone", "is_vowel", "has_mouth", "gesture", "membership", "rows")
        per_clip = ("clip_id", "speaker", "emotion")
        return replace(
            self,
            offsets=np.concatenate([[0], np.cumsum(self.lengths[clips])]).astype(np.int64),
            group=None if self.group is None else self.group[clips],
            frames=None if self.frames is None else self.frames.take(clips, phones),
            **{name: getattr(self, name)[phones] for name in per_phone},
            **{name: getattr(self, name)[clips] for name in per_clip},
        )

    def without_labels(self) -> SpeechData:
        """The same clips with every emotion unknown: the only form in which training takes target clips."""
        return replace(self, emotion=np.full(len(self), UNLABELLED, dtype=np.int8))

    def one_vs_rest(self, emotion: str) -> SpeechData:
        """The binary task `emotion` (1) against the other classes (0); clips without a label stay without."""
        if emotion not in self.classes:
            raise ConfigError(f"task {emotion!r} is none of {', '.join(self.classes)}")
        binary = np.where(self.emotion < 0, UNLABELLED, self.emotion == self.classes.index(emotion)).astype(np.int8)
        return replace(self, emotion=binary, classes=("rest", emotion))

    def read(self, phones: np.ndarray) -> np.ndarray:
        """Normalised vectors of phones (indices [n]), float32 [n, L, D]."""
        vectors = np.asarray(self.vectors[self.rows[phones]], dtype=np.float32)
        if self.centre is not None:
            group = self.group[np.searchsorted(self.offsets, phones, side="right") - 1]
            vectors = (vectors - self.centre[group]) / self.scale[group]
        return vectors

    def normalised(self, kind: Normalisation, statistics_of: SpeechData | None = None) -> SpeechData:
        """z-normalised per dimension, without any label.

        none     unchanged
        corpus   mean and deviation of `statistics_of`: the training partition of the same corpus (default: these clips,
                 right only if they are the training partition)
        speaker  mean and deviation of each speaker's own clips among these: for test speakers that is their unlabelled
                 test clips (transductive in the speaker, the usual meaning of speaker normalisation in the field)
        """
        if kind == "none":
            return self
        if self.centre is not None:
            raise ConfigError(f"{self.corpus}: already normalised")
        if kind == "corpus":
            centre, scale = moments(statistics_of or self)
            return replace(self, centre=centre[None], scale=scale[None], group=np.zeros(len(self), dtype=np.int32))
        speakers, group = np.unique(self.speaker, return_inverse=True)
        centres, scales = zip(*(moments(self.take(group == index)) for index in range(len(speakers))), strict=True)
        return replace(self, centre=np.stack(centres), scale=np.stack(scales), group=group.astype(np.int32))


def phones_of(offsets: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """Phone indices of clips, in clip order: the concatenated ranges offsets[c] .. offsets[c+1]-1.

    >>> phones_of(np.array([0, 2, 5, 6]), np.array([2, 0])).tolist()
    [5, 0, 1]
    """
    return ranges(offsets[clips], offsets[clips + 1] - offsets[clips])


def moments(data: SpeechData) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over all phones, two float32 [L, D]; deviations under 1e-5 (dead) become 1."""
    count = int(data.offsets[-1])
    if count == 0:
        raise ConfigError(f"{data.corpus}: no phone to take statistics from")
    total, square = 0.0, 0.0
    shift = data.read(np.arange(1))[0].astype(np.float64)  # keeps E[x^2] - E[x]^2 accurate for features far from zero
    for start in range(0, count, _CHUNK):
        vectors = data.read(np.arange(start, min(start + _CHUNK, count))).astype(np.float64) - shift
        total, square = total + vectors.sum(0), square + (vectors**2).sum(0)
    mean = total / count
    deviation = np.sqrt(np.maximum(square / count - mean**2, 0.0))
    return (mean + shift).astype(np.float32), np.where(deviation < 1e-5, 1.0, deviation).astype(np.float32)
