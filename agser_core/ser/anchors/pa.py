"""PA: phonetic anchoring (Upadhyay et al., ICASSP 2023): vowels as keys, from audio alone."""

import numpy as np

from agser_core.ser.anchors.keyed import KeyedAnchor, Keys
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import TrainSettings


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> KeyedAnchor:
    """k(segment) = its phone, for all vowels."""
    keys = (Keys(np.where(data.is_vowel, data.phone, -1)) for data in (source, target))
    return KeyedAnchor("pa", *keys, settings.anchor)
