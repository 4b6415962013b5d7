"""Do gestures and sounds go together? AG-acoustic association (AG paper), with a null.

The acoustic embeddings of the segments are clustered too. The paper counts how many acoustic clusters appear inside
each gesture cluster, per emotion. A plain count grows with the number of segments, so beside it stand the effective
number of acoustic clusters, 2^H, and over all gestures the conditional entropy H(acoustic | gesture) in bits and the
normalised mutual information, each against a null in which the acoustic labels are shuffled among the segments [ours].

    H(A|G) = - sum_ga p(g, a) log2 p(a|g)        NMI = 2 I(A; G) / (H(A) + H(G))

Shape legend: N segments, K gesture clusters, A acoustic clusters, R shuffles.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from agser_core.corpora.clip import CLASSES
from agser_core.gestures.overlap import ALL, in_order

#: Rows on which the acoustic clusters are fitted; the rest are only assigned.
FIT_ROWS = 100_000


def acoustic_clusters(vectors: np.ndarray, n_clusters: int, seed: int = 0) -> np.ndarray:
    """k-means labels of acoustic segment embeddings, each dimension standardised first.

    Standardise per corpus before the call if the channels of the corpora should not make clusters of their own.

    Args:
        vectors: [N, D].
        n_clusters: A; at most N.

    Returns:
        int32 [N].
    """
    from sklearn.cluster import KMeans

    vectors = np.asarray(vectors)
    if not 1 <= n_clusters <= len(vectors):
        raise ValueError(f"{n_clusters} acoustic clusters of {len(vectors)} segments")
    rng = np.random.default_rng(seed)
    fitted = (
        vectors if len(vectors) <= FIT_ROWS else vectors[np.sort(rng.choice(len(vectors), FIT_ROWS, replace=False))]
    )
    fitted = fitted.astype(np.float32)
    mean, scale = fitted.mean(axis=0), fitted.std(axis=0)
    scale[scale == 0] = 1
    model = KMeans(n_clusters, n_init=1, random_state=seed).fit((fitted - mean) / scale)
    labels = [
        model.predict((part.astype(np.float32) - mean) / scale)
        for part in np.array_split(vectors, 1 + len(vectors) // FIT_ROWS)
    ]
    return np.concatenate(labels).astype(np.int32)


def contingency(gestures: np.ndarray, acoustic: np.ndarray, n_clusters: int, n_acoustic: int) -> np.ndarray:
    """Segments by gesture and acoustic cluster, int64 [K, A]; segments with a negative label are left out."""
    gestures, acoustic = np.asarray(gestures), np.asarray(acoustic)
    kept = (gestures >= 0) & (acoustic >= 0)
    cells = gestures[kept].astype(np.int64) * n_acoustic + acoustic[kept]
    return np.bincount(cells, minlength=n_clusters * n_acoustic).reshape(n_clusters, n_acoustic)


def _entropy(counts: np.ndarray) -> np.ndarray:
    """Entropy in bits along the last axis; 0 where there is no count."""
    share = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return -np.sum(share * np.log2(np.where(share > 0, share, 1)), axis=-1)


def conditional_entropy(table: np.ndarray) -> np.ndarray:
    """H(acoustic | gesture) in bits, 0 (the gesture tells the sound) to log2 A.

    Args:
        table: counts [..., K, A].

    >>> float(conditional_entropy([[2, 2], [4, 0]]))
    0.5
    """
    table = np.asarray(table, dtype=np.float64)
    weight = table.sum(axis=-1) / np.maximum(table.sum(axis=(-2, -1)), 1)[..., None]
    return (weight * _entropy(table)).sum(axis=-1)


def normalised_mutual_information(table: np.ndarray) -> np.ndarray:
    """NMI of gesture and acoustic cluster, 0 (independent) to 1 (one tells the other); 0 where either has one value.

    Args:
        table: counts [..., K, A].

    >>> float(normalised_mutual_information([[3, 0], [0, 3]]))
    1.0
    """
    table = np.asarray(table, dtype=np.float64)
    acoustic, gesture = _entropy(table.sum(axis=-2)), _entropy(table.sum(axis=-1))
    information = np.maximum(acoustic - conditional_entropy(table), 0)
    return 2 * information / np.where(acoustic + gesture > 0, acoustic + gesture, 1)


def shuffled_tables(table: np.ndarray, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Tables as they come when the acoustic labels are shuffled: random with the same margins (Patefield 1981).

    Args:
        table: int [K, A].

    Returns:
        int64 [R, K, A].
    """
    from scipy.stats import random_table

    rows, columns = table.sum(axis=1), table.sum(axis=0)
    return random_table.rvs(rows, columns, size=n_resamples, method="patefield", random_state=rng).astype(np.int64)


def association_table(
    gestures: np.ndarray,
    acoustic: np.ndarray,
    emotions: np.ndarray | None,
    n_clusters: int,
    n_acoustic: int,
    *,
    n_permutations: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Association of gesture and acoustic cluster over all segments and per emotion.

    Args:
        gestures: int [N], negative = none.
        acoustic: int [N], negative = none.
        emotions: str or null [N], or None where the corpora have none.

    Returns:
        One row an emotion ("all" first): emotion, segments, nmi, nmi_null_mean, nmi_null_high (the `level` quantile),
        nmi_p_value (share of shuffles at least as associated, +1), conditional_entropy, entropy_null_mean,
        entropy_null_low (the 1 - `level` quantile); entropies in bits.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for emotion, table in _tables_by_emotion(gestures, acoustic, emotions, n_clusters, n_acoustic).items():
        row = {"emotion": emotion, "segments": int(table.sum())}
        if row["segments"]:
            null = shuffled_tables(table, n_permutations, rng)
            nmi, null_nmi = float(normalised_mutual_information(table)), normalised_mutual_information(null)
            entropy, null_entropy = float(conditional_entropy(table)), conditional_entropy(null)
            row |= {
                "nmi": nmi,
                "nmi_null_mean": null_nmi.mean(),
                "nmi_null_high": np.quantile(null_nmi, level),
                "nmi_p_value": ((null_nmi >= nmi - 1e-12).sum() + 1) / (n_permutations + 1),
                "conditional_entropy": entropy,
                "entropy_null_mean": null_entropy.mean(),
                "entropy_null_low": np.quantile(null_entropy, 1 - level),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def acoustic_clusters_per_gesture(
    gestures: np.ndarray, acoustic: np.ndarray, emotions: np.ndarray | None, n_clusters: int, n_acoustic: int
) -> pd.DataFrame:
    """The paper's count: acoustic clusters that appear inside each gesture cluster, per emotion.

    Returns:
        One row a gesture x emotion ("all" too) with segments: gesture, emotion, segments, acoustic_clusters (those that
        appear), effective_clusters (2^H of their shares, 1..A).
    """
    rows = []
    for emotion, table in _tables_by_emotion(gestures, acoustic, emotions, n_clusters, n_acoustic).items():
        filled = np.flatnonzero(table.sum(axis=1))
        rows.append(
            pd.DataFrame(
                {
                    "gesture": filled,
                    "emotion": emotion,
                    "segments": table[filled].sum(axis=1),
                    "acoustic_clusters": (table[filled] > 0).sum(axis=1),
                    "effective_clusters": 2.0 ** _entropy(table[filled].astype(np.float64)),
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def _tables_by_emotion(
    gestures: np.ndarray, acoustic: np.ndarray, emotions: np.ndarray | None, n_clusters: int, n_acoustic: int
) -> dict[str, np.ndarray]:
    gestures, acoustic = np.asarray(gestures), np.asarray(acoustic)
    tables = {ALL: contingency(gestures, acoustic, n_clusters, n_acoustic)}
    if emotions is not None:
        codes, names = in_order(np.asarray(emotions, dtype=object), CLASSES)
        for code, name in enumerate(names):
            tables[name] = contingency(gestures[codes == code], acoustic[codes == code], n_clusters, n_acoustic)
    return tables
