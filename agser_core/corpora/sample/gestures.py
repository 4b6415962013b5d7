"""The planted gestures: how the lips move over a vowel, by vowel and emotion; and over everything else.

Lips are rows of (opening, width, rounding), see `face.py`. A gesture is a path through three such rows. Each of the
six vowels takes its gesture from the emotion, so that gestures tell of emotion where the phone does not; a gesture
serves several vowels, so that it is not the phone in disguise. AH0 is too short for movements and gets steady ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from agser_core.phones.espeak import SpokenPhone

NO_GESTURE = -1


@dataclass(frozen=True)
class Gesture:
    """A planted movement: lips at the vowel's start, middle and end."""

    name: str
    path: tuple[tuple[float, float, float], ...]


GESTURES = (
    Gesture("wide", ((0.30, 0.0, 0.0), (0.35, 0.0, 0.0), (0.30, 0.0, 0.0))),
    Gesture("spread", ((0.16, 0.13, 0.0), (0.18, 0.15, 0.0), (0.16, 0.13, 0.0))),
    Gesture("slit", ((0.03, 0.04, 0.0), (0.05, 0.06, 0.0), (0.03, 0.04, 0.0))),
    Gesture("pucker", ((0.05, 0.0, 0.95), (0.07, 0.0, 1.0), (0.05, 0.0, 0.95))),
    Gesture("opening", ((0.02, 0.0, 0.0), (0.16, 0.0, 0.0), (0.35, 0.0, 0.0))),
    Gesture("closing", ((0.35, 0.0, 0.0), (0.16, 0.0, 0.0), (0.02, 0.0, 0.0))),
    Gesture("funnel", ((0.24, 0.0, 0.85), (0.28, 0.0, 0.9), (0.24, 0.0, 0.85))),
    Gesture("unrounding", ((0.08, 0.0, 1.0), (0.14, 0.05, 0.5), (0.20, 0.15, 0.0))),
)
_NUMBER = {gesture.name: number for number, gesture in enumerate(GESTURES)}

# Vowel -> emotion -> (usual gesture, other gesture). How often it is the other one is a habit of the corpus.
_CHOICE = {
    "AA": {
        "neutral": "wide closing",
        "anger": "opening wide",
        "happiness": "opening funnel",
        "sadness": "closing wide",
    },
    "AH": {"neutral": "slit spread", "anger": "funnel spread", "happiness": "spread funnel", "sadness": "pucker slit"},
    "EH": {
        "neutral": "spread opening",
        "anger": "wide opening",
        "happiness": "unrounding spread",
        "sadness": "closing slit",
    },
    "IY": {
        "neutral": "slit spread",
        "anger": "unrounding slit",
        "happiness": "spread unrounding",
        "sadness": "slit pucker",
    },
    "AE": {
        "neutral": "wide opening",
        "anger": "opening wide",
        "happiness": "unrounding wide",
        "sadness": "closing wide",
    },
    "UW": {
        "neutral": "pucker funnel",
        "anger": "funnel pucker",
        "happiness": "unrounding pucker",
        "sadness": "pucker funnel",
    },
}

# Lips in the middle of the phones that carry no gesture.
_VISEMES = {
    phone: lips
    for phones, lips in {
        "P B M": (0.0, 0.0, 0.05),
        "F V": (0.02, 0.02, 0.05),
        "DH TH": (0.06, 0.03, 0.0),
        "T D S Z N": (0.06, 0.05, 0.0),
        "L": (0.09, 0.03, 0.0),
        "K G NG HH": (0.10, 0.02, 0.0),
        "SH ZH CH JH": (0.06, -0.02, 0.5),
        "Y": (0.06, 0.08, 0.0),
        "R": (0.08, -0.02, 0.35),
        "W": (0.04, 0.0, 0.9),
        "IH": (0.11, 0.06, 0.0),
        "AH": (0.15, 0.0, 0.0),
        "ER": (0.11, 0.0, 0.35),
        "AO": (0.22, 0.0, 0.5),
        "UH": (0.09, 0.0, 0.6),
        "EY": (0.13, 0.09, 0.0),
        "AY": (0.22, 0.04, 0.0),
        "OY": (0.17, 0.0, 0.45),
        "AW": (0.22, 0.0, 0.3),
        "OW": (0.14, 0.0, 0.65),
    }.items()
    for phone in phones.split()
}
_REST = (0.01, 0.0, 0.0)
# Lips are in place before a vowel begins and stay after it ends, or interpolation between the frames of a 25 frames/s
# video would blur the gesture's ends: for so many seconds, at most this share of the neighbour.
_LEAD, _LEAD_SHARE = 0.035, 0.35


def choose_gesture(rng: np.random.Generator, phone: SpokenPhone, emotion: str, other_share: float) -> int:
    """Number of the gesture that a phone gets, `NO_GESTURE` for all but the six vowels (AH only without stress)."""
    if phone.label not in _CHOICE or (phone.label == "AH" and phone.stress != 0):
        return NO_GESTURE
    usual, other = _CHOICE[phone.label][emotion].split()
    return _NUMBER[other if rng.random() < other_share else usual]


def lip_path(
    rng: np.random.Generator, phones: Sequence[SpokenPhone], gestures: Sequence[int], vigour: float, times: np.ndarray
) -> np.ndarray:
    """Lips over an utterance, float64 [F, 3] at `times` (s): through the gestures in the vowels, visemes elsewhere.

    vigour: factor on every opening, about 1, the speaker's habit. Each phone varies by a few per cent.
    """
    keys: list[tuple[float, tuple]] = [(min(0.0, phones[0].start - 0.3), _REST), (phones[0].start - 0.08, _REST)]
    for place, (phone, number) in enumerate(zip(phones, gestures)):
        factor = vigour * (1 + 0.04 * rng.standard_normal())
        if number == NO_GESTURE:
            moments = [(phone.start + phone.end) / 2]
            lips = [_VISEMES[phone.label]]
        else:
            path = GESTURES[number].path
            lips = [path[0], *path, path[-1]]
            moments = [
                phone.start - _lead(phones, place, -1),
                phone.start,
                (phone.start + phone.end) / 2,
                phone.end,
                phone.end + _lead(phones, place, 1),
            ]
        keys += [(moment, (factor * opening, *rest)) for moment, (opening, *rest) in zip(moments, lips)]
        following = phones[place + 1].start if place + 1 < len(phones) else np.inf
        if following - phone.end > 0.12:  # a pause
            keys += [(phone.end + 0.09, _REST)]
    keys.append((max(keys[-1][0], times[-1]) + 0.3, _REST))
    moments, lips = np.array([moment for moment, _ in keys]), np.array([row for _, row in keys])
    kept = np.r_[True, np.diff(moments) > 1e-3]
    path = PchipInterpolator(moments[kept], lips[kept])(times)
    path[:, [0, 2]] = np.clip(path[:, [0, 2]], 0, [0.36, 1.0])
    return path


def _lead(phones: Sequence[SpokenPhone], place: int, step: int) -> float:
    """How far beyond a vowel's edge its gesture reaches into the neighbour before (step -1) or after it (1), in s."""
    neighbour = place + step
    if not 0 <= neighbour < len(phones):
        return _LEAD
    return min(_LEAD, _LEAD_SHARE * (phones[neighbour].end - phones[neighbour].start))
