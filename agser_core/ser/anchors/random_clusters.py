"""Control: gesture keys dealt anew at random, clusters of equal sizes. Does it matter WHICH segments share a key?"""

import numpy as np

from agser_core.ser.anchors.keyed import KeyedAnchor, Keys
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import TrainSettings


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> KeyedAnchor:
    """k(segment) = the gesture of another segment of the corpus, by a permutation of seed."""
    generator = np.random.default_rng([seed, 11])
    keys = []
    for data in (source, target):
        key, chosen = data.gesture.copy(), data.gesture >= 0
        key[chosen] = generator.permutation(key[chosen])
        keys.append(Keys(key))
    return KeyedAnchor("random_clusters", *keys, settings.anchor)
