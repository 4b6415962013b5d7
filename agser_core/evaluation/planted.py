"""Two corpora made at the table level, with a known answer: what anchoring must and must not do on them.

Every vowel carries a gesture. Conditions say what the gesture tells and whether it can be heard:

    info     depends on phone and emotion, heard      AG must help, PA and random keys less
    phone    depends on the phone only, heard         AG may help as much as PA does
    same     one gesture a phone, heard               AG must do as PA does
    styles   as phone; each speaker has one of three  SAPA must help more than PA
             ways of expressing each emotion
    random   independent of both, heard
    mute     depends on the phone only, not heard
    void     independent of both, not heard           keys of no use to anyone: the triplet must be neutral

A vowel's vector = phone + gesture + gesture x phone + emotion (weak, on all phones) + speaker + noise, a little
nonlinear. The target then passes a fixed channel (rotation, scale, offset, nonlinearity); its emotions are unbalanced.
Observed gestures are the nearest of K visual centres under noise (about a quarter wrong), with memberships that follow;
a twentieth of the vowels has no tracked mouth, so no gesture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.linalg import expm

from agser_core.ser.dataset import SpeechData

Condition = Literal["info", "phone", "same", "styles", "random", "mute", "void"]
_GESTURES, _PHONES, _VOWELS, _DIMENSION, _VISUAL = 10, 20, 6, 64, 6
_VOWEL_SHARE, _SHORTEST, _LONGEST = 0.42, 8, 14
_TARGET_PRIOR = (0.35, 0.30, 0.175, 0.175)


@dataclass(frozen=True)
class _Strengths:
    """How strongly each thing shows, by condition."""

    phone_to_gesture: float  # logits of the gesture given the phone
    emotion_to_gesture: float  # logits of the gesture given the emotion
    gesture_heard: float
    emotion_heard: float  # directly, on all phones
    one_gesture_a_phone: bool = False
    styles: int = 0  # ways of expressing an emotion, of which a speaker has one in each emotion; heard on all phones


_STYLE_HEARD, _UNTRACKED = 0.25, 0.05


_CONDITIONS: dict[str, _Strengths] = {
    "info": _Strengths(1.2, 1.4, 1.0, 0.04),
    "phone": _Strengths(2.2, 0.0, 1.0, 0.10),
    "same": _Strengths(0.0, 0.0, 1.0, 0.10, one_gesture_a_phone=True),
    "styles": _Strengths(2.2, 0.0, 1.0, 0.05, styles=3),
    "random": _Strengths(0.0, 0.0, 1.0, 0.10),
    "mute": _Strengths(1.2, 0.0, 0.0, 0.08),
    "void": _Strengths(0.0, 0.0, 0.0, 0.08),
}


@dataclass(frozen=True)
class Sizes:
    """Clips and speakers of each part."""

    source_train: tuple[int, int] = (1125, 9)
    source_dev: tuple[int, int] = (400, 4)
    target_train: tuple[int, int] = (1500, 12)
    target_test: tuple[int, int] = (900, 6)


@dataclass(frozen=True)
class PlantedPair:
    """Source and target with the partition ("train", "dev", "test") of each clip."""

    source: SpeechData
    target: SpeechData
    source_partition: np.ndarray
    target_partition: np.ndarray
    true_gesture: np.ndarray  # int32 [P] of the target, -1 for consonants


def planted_pair(condition: Condition, seed: int, sizes: Sizes = Sizes(), shift: float = 1.5) -> PlantedPair:
    """Two corpora of one world. Same seed, same bytes.

    shift: strength of the target's channel. 0: as the source's; 1.5: source-only training, condition info, reaches a
    four-class UAR near 0.5 on the target, near 0.65 after normalisation per corpus, where 0.8 is possible.
    """
    world = _World(_CONDITIONS[condition], seed, shift)
    balanced = (0.25,) * 4
    parts = [
        world.clips("source", "train", *sizes.source_train, balanced, False),
        world.clips("source", "dev", *sizes.source_dev, balanced, False),
        world.clips("target", "train", *sizes.target_train, _TARGET_PRIOR, True),
        world.clips("target", "test", *sizes.target_test, _TARGET_PRIOR, True),
    ]
    source, source_partition, _ = _joined("source", parts[:2])
    target, target_partition, true_gesture = _joined("target", parts[2:])
    return PlantedPair(source, target, source_partition, target_partition, true_gesture)


class _World:
    """The laws that both corpora obey, and the target's channel."""

    def __init__(self, strengths: _Strengths, seed: int, shift: float):
        generator = np.random.default_rng([seed, 1000])
        self.strengths, self.generator, self.shift = strengths, generator, shift
        normal = generator.normal
        self.gesture = normal(size=(_GESTURES, _DIMENSION))
        self.phone = normal(size=(_PHONES, _DIMENSION))
        self.emotion = normal(size=(4, _DIMENSION))
        self.emotion_phone = normal(size=(4, _PHONES, _DIMENSION))
        self.gesture_phone = normal(size=(_GESTURES, _VOWELS, _DIMENSION))
        logits = strengths.phone_to_gesture * normal(
            size=(1, _VOWELS, _GESTURES)
        ) + strengths.emotion_to_gesture * normal(size=(4, 1, _GESTURES))
        weights = np.eye(_VOWELS, _GESTURES)[None].repeat(4, 0) if strengths.one_gesture_a_phone else np.exp(logits)
        self.gesture_odds = np.cumsum(weights / weights.sum(-1, keepdims=True), axis=-1)  # [emotion, vowel, gesture]
        self.visual = normal(size=(_GESTURES, _VISUAL))
        self.bend = normal(size=(_DIMENSION, _DIMENSION)) / np.sqrt(_DIMENSION)
        turn = normal(size=(_DIMENSION, _DIMENSION))
        self.rotation = expm((turn - turn.T) / np.sqrt(2 * _DIMENSION) * 0.5 * shift)
        self.offset = normal(size=_DIMENSION) * 0.5 * shift
        self.scale = np.exp(0.25 * shift * normal(size=_DIMENSION))
        self.channel_bend = normal(size=(_DIMENSION, _DIMENSION)) / np.sqrt(_DIMENSION)
        self.tracking = np.random.default_rng([seed, 3000])  # of mouths: changes nothing that is heard
        self.style = normal(size=(4, strengths.styles, _DIMENSION))

    def clips(
        self, corpus: str, partition: str, clips: int, speakers: int, prior: tuple[float, ...], shifted: bool
    ) -> dict:
        """Arrays of one part, flat over its phones."""
        draw, strengths = self.generator, self.strengths
        speaker, voice = draw.integers(speakers, size=clips), draw.normal(size=(speakers, _DIMENSION)) * 0.18
        emotion = draw.choice(4, size=clips, p=prior)
        length = draw.integers(_SHORTEST, _LONGEST + 1, size=clips)
        clip = np.repeat(np.arange(clips), length)
        vowel = draw.random(len(clip)) < _VOWEL_SHARE
        vowel[np.cumsum(length) - 1 - draw.integers(length)] = True  # at least one a clip
        phone = np.where(vowel, draw.integers(_VOWELS, size=len(clip)), draw.integers(_VOWELS, _PHONES, size=len(clip)))
        odds = self.gesture_odds[emotion[clip], np.minimum(phone, _VOWELS - 1)]
        gesture = np.minimum((draw.random(len(clip))[:, None] > odds).sum(1), _GESTURES - 1)

        heard = emotion[clip]
        vectors = 0.8 * self.phone[phone] + voice[speaker[clip]]
        vectors += strengths.emotion_heard * (self.emotion[heard] + 0.5 * self.emotion_phone[heard, phone])
        of_gesture = 0.7 * self.gesture[gesture] + 0.25 * self.gesture_phone[gesture, np.minimum(phone, _VOWELS - 1)]
        vectors += (vowel * strengths.gesture_heard)[:, None] * of_gesture
        if strengths.styles:
            own = draw.integers(strengths.styles, size=(speakers, 4))  # of each speaker in each emotion
            vectors += _STYLE_HEARD * self.style[heard, own[speaker[clip], heard]]
        vectors += 0.6 * draw.normal(size=vectors.shape)
        vectors += 0.5 * np.tanh(vectors @ self.bend)
        if shifted:
            vectors = (vectors @ self.rotation) * self.scale
            vectors += self.offset + 0.5 * self.shift * np.tanh(vectors @ self.channel_bend)

        seen = self.visual[gesture] + 0.8 * draw.normal(size=(len(clip), _VISUAL))
        distance = ((seen[:, None] - self.visual) ** 2).sum(-1)
        nearest = distance.min(1, keepdims=True)
        membership = np.exp(-(distance - nearest) / np.median(nearest[vowel]))
        membership *= vowel[:, None] / membership.sum(1, keepdims=True)
        tracked = vowel & (self.tracking.random(len(clip)) >= _UNTRACKED)
        names = np.array([f"{corpus}-{partition}-{number:02d}" for number in range(speakers)])
        return {
            "vectors": vectors.astype(np.float32)[:, None],
            "length": length,
            "phone": phone.astype(np.int16),
            "is_vowel": vowel,
            "has_mouth": tracked,
            "gesture": np.where(tracked, distance.argmin(1), -1).astype(np.int32),
            "membership": (membership * tracked[:, None]).astype(np.float32),
            "emotion": emotion.astype(np.int8),
            "speaker": names[speaker],
            "partition": np.full(clips, partition),
            "true_gesture": np.where(vowel, gesture, -1).astype(np.int32),
        }


def _joined(corpus: str, parts: list[dict]) -> tuple[SpeechData, np.ndarray, np.ndarray]:
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    partition, true_gesture, length = whole.pop("partition"), whole.pop("true_gesture"), whole.pop("length")
    data = SpeechData(
        corpus=corpus,
        offsets=np.concatenate([[0], np.cumsum(length)]).astype(np.int64),
        clip_id=np.array([f"{corpus}-{number:05d}" for number in range(len(length))]),
        **whole,
    )
    return data, partition, true_gesture


def planted_layers(seed: int, sizes: Sizes = Sizes(), layers: int = 6, clear: tuple[int, ...] = (2, 3)) -> PlantedPair:
    """Condition phone with several encoder layers, of which only the `clear` ones are alike in both corpora.

    All layers say the same of the source; the target's channel has strength 0.5 in the clear layers, 2.5 in the others.
    What LA is for: the layers that transfer must be found without labels.
    """
    strengths = {shift: planted_pair("phone", seed, sizes, shift) for shift in (0.5, 2.5)}  # the same clips twice
    chosen = [strengths[0.5 if layer in clear else 2.5] for layer in range(layers)]
    generator = np.random.default_rng([seed, 2000])

    def layered(parts: list[SpeechData]) -> SpeechData:
        vectors = np.concatenate([part.vectors for part in parts], axis=1)
        noise = 0.3 * generator.normal(size=vectors.shape).astype(np.float32)
        return replace(parts[0], vectors=vectors + noise)

    source, target = layered([pair.source for pair in chosen]), layered([pair.target for pair in chosen])
    return replace(chosen[0], source=source, target=target)
