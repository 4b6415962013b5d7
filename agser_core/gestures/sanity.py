"""Do the gestures look alike in both corpora? The paper's sanity curves, and the mean shape of each gesture.

Every segment is put on a common normalised time, 0 at its start and 1 at its end, by linear interpolation. The curves
then follow one lip point (57 lower-mid; 48 and 54 the corners) for one vowel in two clusters and two corpora: they
should differ between clusters and agree between corpora inside one.

Shape legend: N segments, P points of normalised time, K clusters, D = 24 coordinates (x0, y0, ..., x11, y11 of the
outer lip points 48..59, inter-pupil units, y downwards as in pictures).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from agser_core.ragged import Ragged

#: iBUG-68 number of the first outer-lip point.
FIRST_LIP_POINT = 48
#: The paper's lip points: lower-mid and the two corners.
SANITY_POINTS = (57, 48, 54)
#: Segments resampled at a time: bounds memory at about 100 MB whatever N is.
CHUNK = 50_000


def resample(mouths: Ragged, n_points: int = 20) -> np.ndarray:
    """Every segment at P equally spaced points of normalised time, by linear interpolation.

    Args:
        mouths: N segments [n_i, D]; a segment of one frame stands still.

    Returns:
        [N, P, D], the type of the frames.
    """
    return (
        np.concatenate([*_resampled_chunks(mouths, n_points)])
        if len(mouths)
        else np.empty((0, n_points, mouths.dimension))
    )


def _resampled_chunks(mouths: Ragged, n_points: int) -> Iterator[np.ndarray]:
    time = np.linspace(0, 1, n_points)
    for start in range(0, len(mouths), CHUNK):
        offsets = mouths.offsets[start : start + CHUNK + 1]
        last = np.diff(offsets)[:, None] - 1
        position = time * last
        left = np.minimum(position.astype(np.int64), np.maximum(last - 1, 0))
        weight = (position - left)[..., None].astype(mouths.frames.dtype)
        before = mouths.frames[offsets[:-1, None] + left]
        after = mouths.frames[offsets[:-1, None] + np.minimum(left + 1, last)]
        yield before + weight * (after - before)


def cluster_shapes(
    mouths: Ragged, gestures: np.ndarray, n_clusters: int, n_points: int = 20
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean movement of each cluster and how far its members spread round it.

    Args:
        mouths: N segments [n_i, D].
        gestures: cluster of each segment, int [N]; negative = not assigned.

    Returns:
        Mean [K, P, D] and standard deviation [K, P, D] over members, float64, NaN for an empty cluster; members int64
        [K].
    """
    gestures = np.asarray(gestures)
    if len(gestures) != len(mouths):
        raise ValueError(f"{len(mouths)} segments but {len(gestures)} gestures")
    shape = (n_clusters, n_points, mouths.dimension)
    total, squares, members = np.zeros(shape), np.zeros(shape), np.zeros(n_clusters, np.int64)
    centre = mouths.frames.mean(axis=0, dtype=np.float64)  # sums of squares round the origin would cancel badly
    for chunk, movements in enumerate(_resampled_chunks(mouths, n_points)):
        labels = gestures[chunk * CHUNK : chunk * CHUNK + len(movements)]
        for cluster in np.unique(labels[labels >= 0]):
            own = movements[labels == cluster] - centre
            total[cluster] += own.sum(axis=0)
            squares[cluster] += np.square(own).sum(axis=0)
            members[cluster] += len(own)
    divisor = np.where(members, members, np.nan)[:, None, None]
    mean = total / divisor
    deviation = np.sqrt(np.maximum(squares / divisor - np.square(mean), 0))
    return mean + centre, deviation, members


def choose_pair_of_clusters(counts: np.ndarray) -> tuple[int, int]:
    """The two clusters best filled in both corpora, for the sanity curves.

    Args:
        counts: segments of one vowel, int [2, K], K >= 2.

    Returns:
        Cluster numbers, the best filled first.
    """
    weakest = np.asarray(counts).min(axis=0)
    best = np.argsort(-weakest, kind="stable")[:2]
    return int(best[0]), int(best[1])


def sanity_curves(
    mouths: Ragged,
    gestures: np.ndarray,
    corpora: np.ndarray,
    clusters: tuple[int, int],
    pair: tuple[str, str],
    points: tuple[int, ...] = SANITY_POINTS,
    n_points: int = 20,
) -> pd.DataFrame:
    """Mean and standard error of lip points over normalised time, by cluster and corpus.

    Args:
        mouths: the segments of one vowel, N of [n_i, 24].
        gestures: cluster of each, int [N].
        corpora: corpus of each, str [N].
        clusters: the two clusters to show.
        pair: the two corpora to show.
        points: iBUG-68 numbers in 48..59.

    Returns:
        One row a corpus x gesture x point x axis x time: corpus, gesture, point, axis ("x" or "y"), time (0..1), mean,
        standard_error (NaN below two members), members. Inter-pupil units.

    Raises:
        ValueError: a point that is no outer-lip point.
    """
    wrong = [point for point in points if not FIRST_LIP_POINT <= point < FIRST_LIP_POINT + 12]
    if wrong:
        raise ValueError(f"points {wrong} are no outer-lip points (48..59)")
    gestures, corpora = np.asarray(gestures), np.asarray(corpora)
    columns = [2 * (point - FIRST_LIP_POINT) + axis for point in points for axis in (0, 1)]
    narrow = Ragged(np.ascontiguousarray(mouths.frames[:, columns]), mouths.offsets)
    rows = []
    for corpus in pair:
        for cluster in clusters:
            members = np.flatnonzero((corpora == corpus) & (gestures == cluster))
            if len(members) == 0:
                continue
            movements = resample(narrow.take(members), n_points).astype(np.float64)
            error = (
                movements.std(axis=0, ddof=1) / np.sqrt(len(members))
                if len(members) > 1
                else np.full(movements[0].shape, np.nan)
            )
            curve = pd.DataFrame(
                {
                    "corpus": corpus,
                    "gesture": cluster,
                    "point": np.repeat(np.repeat(points, 2), n_points),
                    "axis": np.tile(np.repeat(["x", "y"], n_points), len(points)),
                    "time": np.tile(np.linspace(0, 1, n_points), len(columns)),
                    "mean": movements.mean(axis=0).T.ravel(),
                    "standard_error": error.T.ravel(),
                    "members": len(members),
                }
            )
            rows.append(curve)
    names = ["corpus", "gesture", "point", "axis", "time", "mean", "standard_error", "members"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=names)


def separation(curves: pd.DataFrame) -> float:
    """How much more the curves differ between clusters than between corpora inside a cluster.

    Root mean square difference between the two clusters (same corpus) over the root mean square difference between the
    two corpora (same cluster), over all points, axes and times. Above 1: the cluster says more than the corpus.

    Args:
        curves: of `sanity_curves`.

    Returns:
        >= 0, or NaN unless both clusters occur in both corpora.
    """
    table = curves.pivot_table(index=["point", "axis", "time"], columns=["corpus", "gesture"], values="mean")
    if table.shape[1] != 4:
        return float("nan")
    values = table.to_numpy().reshape(len(table), 2, 2)  # corpus, gesture
    between_clusters = np.square(values[:, :, 0] - values[:, :, 1]).mean()
    between_corpora = np.square(values[:, 0] - values[:, 1]).mean()
    return float(np.sqrt(between_clusters / between_corpora)) if between_corpora > 0 else float("inf")
