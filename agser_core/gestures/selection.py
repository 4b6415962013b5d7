"""Which gesture clusters two corpora share, and how evenly.

Shape legend: K clusters; counts [..., 2, K] = segments of the first and of the second corpus in each cluster.
Clusters that pass here are the set C of the anchors (METHOD section 5); the same ratios are the entries of the
paper's overlap table (`overlap.py`) and the "cluster reliability" weight of an anchor.
"""

from __future__ import annotations

import numpy as np

#: Per cent. A cluster whose ratio lies below is rare in one corpus and is dropped [paper: "25 % threshold"].
THRESHOLD = 25.0


def cluster_shares(counts: np.ndarray) -> np.ndarray:
    """Share of each corpus' segments that fall in each cluster.

    Args:
        counts: segment counts, shape [..., 2, K], >= 0.

    Returns:
        Shares in 0..1, shape [..., 2, K]; each row sums to 1, or is NaN where a corpus has no segment.
    """
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim < 2 or counts.shape[-2] != 2:
        raise ValueError(f"counts must have shape [..., 2, K], got {counts.shape}")
    totals = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)


def cluster_ratios(counts: np.ndarray) -> np.ndarray:
    """How evenly two corpora use each cluster: 100 * min(p1, p2) / max(p1, p2), p = share within the corpus.

    The papers print another formula (see `overlap.printed`), but their published entries of 60 to 80 can only be such
    ratios [ours].

    Args:
        counts: segment counts, shape [..., 2, K].

    Returns:
        Per cent in 0..100, shape [..., K]; 100 = the same share in both, 0 = in one corpus only;
        NaN where the cluster is empty in both corpora or a corpus has no segment.

    >>> cluster_ratios([[50, 50, 0], [25, 50, 25]])
    array([ 50., 100.,   0.])
    """
    shares = cluster_shares(counts)
    largest = shares.max(axis=-2)
    return 100 * np.divide(
        shares.min(axis=-2), largest, out=np.full_like(largest, np.nan), where=~np.isnan(largest) & (largest > 0)
    )


def common_clusters(counts: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """The clusters common to both corpora: those whose ratio reaches the threshold.

    Args:
        counts: segment counts, shape [..., 2, K].
        threshold: per cent, 0..100. At 0 every cluster that occurs in both corpora is common.

    Returns:
        bool, shape [..., K].

    >>> common_clusters([[50, 50, 0], [25, 50, 25]])
    array([ True,  True, False])
    """
    if not 0 <= threshold <= 100:
        raise ValueError(f"threshold is a percentage in 0..100, got {threshold}")
    ratios = np.nan_to_num(cluster_ratios(counts), nan=0.0)
    return (ratios >= threshold) & (ratios > 0)


def count_clusters(gestures: np.ndarray, is_second: np.ndarray, n_clusters: int) -> np.ndarray:
    """Segments of each corpus in each cluster.

    Args:
        gestures: cluster of each segment, int [N]; negative = not assigned, not counted.
        is_second: bool [N], True where the segment belongs to the second corpus.
        n_clusters: K.

    Returns:
        int64 [2, K].
    """
    gestures, is_second = np.asarray(gestures), np.asarray(is_second, dtype=bool)
    assigned = gestures >= 0
    if assigned.any() and gestures.max() >= n_clusters:
        raise ValueError(f"gesture {gestures.max()} in a model of {n_clusters} clusters")
    cells = is_second[assigned] * n_clusters + gestures[assigned]
    return np.bincount(cells, minlength=2 * n_clusters).reshape(2, n_clusters)
