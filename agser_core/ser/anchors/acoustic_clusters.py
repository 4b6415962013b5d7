"""Control: clusters of the sound instead of the mouth. Does the MOUTH matter?"""

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from agser_core.ser.anchors.keyed import KeyedAnchor, Keys
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import TrainSettings
from agser_core.speech.pooling import varies_within_clips

_WITHOUT_GESTURES = 10  # clusters where no gesture model sets their number


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> KeyedAnchor:
    """k(vowel) = k-means cluster of its vector (mean over layers), as many clusters as gestures, fitted on both
    training parts.

    Vectors are z-normalised per corpus first, or the clusters would be the corpora, and taken without what is the same
    all over a clip.
    """
    n_clusters = max(source.membership.shape[1], target.membership.shape[1]) or _WITHOUT_GESTURES
    corpora = [data if data.centre is not None else data.normalised("corpus") for data in (source, target)]
    vowels = [np.flatnonzero(data.is_vowel) for data in corpora]
    vectors = [data.read(chosen).mean(1) for data, chosen in zip(corpora, vowels, strict=True)]
    varies = varies_within_clips(vectors[0], corpora[0].clip_of_phone[vowels[0]])
    model = MiniBatchKMeans(n_clusters, n_init=5, random_state=seed).fit(np.concatenate(vectors)[:, varies])
    keys = []
    for data, chosen, found in zip(corpora, vowels, vectors, strict=True):
        key = np.full(len(data.phone), -1, dtype=np.int64)
        key[chosen] = model.predict(found[:, varies])
        keys.append(Keys(key))
    return KeyedAnchor("acoustic_clusters", *keys, settings.anchor)
