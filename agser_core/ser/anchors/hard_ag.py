"""Hard-AG: the phone segmentation of the mouth track itself, without clustering (ICASSP 2025, comparison row)."""

import numpy as np

from agser_core.ser.anchors.keyed import KeyedAnchor, Keys
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import TrainSettings


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> KeyedAnchor:
    """k(segment) = its phone, for vowels over which the mouth was tracked."""
    keys = (Keys(np.where(data.is_vowel & data.has_mouth, data.phone, -1)) for data in (source, target))
    return KeyedAnchor("hard_ag", *keys, settings.anchor)
