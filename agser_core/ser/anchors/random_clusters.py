"""Control: gesture keys dealt anew at random, clusters of equal sizes. Does it matter WHICH segments share a key?"""

import numpy as np

from agser_core.ser.anchors.keyed import KeyedAnchor, Keys
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import TrainSettings


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> KeyedAnchor:
    """k(segment) = the gesture of another segment of the corpus, with its membership, by a permutation of seed."""
    generator = np.random.default_rng([seed, 11])
    keys = []
    for data in (source, target):
        chosen = np.flatnonzero(data.gesture >= 0)
        dealt, order = np.arange(len(data.gesture)), generator.permutation(chosen)
        dealt[chosen] = order
        keys.append(Keys(data.gesture[dealt], data.membership[dealt] if data.membership.shape[1] else None))
    return KeyedAnchor("random_clusters", *keys, settings.anchor)
