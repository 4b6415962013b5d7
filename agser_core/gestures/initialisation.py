"""Where a clustering starts: gamma from the data, the length of the centroids, k-means++ and k-means||."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agser_core.gestures.lloyd import Shards
from agser_core.ragged import Ragged, as_ragged
from agser_core.softdtw.averages import resample
from agser_core.softdtw.pairs import Metric, cross_values, scaling_for, self_values
from agser_core.softdtw.scaling import check_gamma
from agser_core.softdtw.statistics import BLOCK

GAMMA_FRAMES = 4096  # frames in all that the median heuristic looks at


@dataclass(frozen=True)
class Prepared:
    """What every start of a fit shares. constant: what the objective adds to the sums over clusters (divergence:
    - sum w s(x, x) / 2)."""

    size: int  # segments
    length: int  # frames, their median
    gamma: float
    constant: float


def prepare(shards: Shards, gamma: float | str, gamma_share: float, metric: Metric, seed: int) -> Prepared:
    """Looks through the segments, chooses gamma where it is "median", and tells every shard.

    Raises:
        ValueError: gamma is not above 0, or all frames are the same.
    """
    described = shards.call("describe")
    magnitude = max(magnitude for magnitude, _ in described)
    histogram = np.zeros(max(len(lengths) for _, lengths in described), np.int64)
    for _, lengths in described:
        histogram[: len(lengths)] += lengths
    size = int(histogram.sum())
    gamma = gamma_share * choose_gamma(shards, size, seed) if gamma == "median" else check_gamma(gamma)
    centre = shards.sum("sum_frames") / (histogram @ np.arange(len(histogram)))
    own_sum = shards.sum("prepare", gamma, metric, magnitude, len(histogram) - 1, centre)
    return Prepared(size, median_length(histogram), gamma, -0.5 * own_sum if metric == "divergence" else 0.0)


def median_gamma(frames: np.ndarray) -> float:
    """The median squared distance between random frames [M, D]: frame i is compared with frame i + M / 2.

    Raises:
        ValueError: all frames are the same.
    """
    half = len(frames) // 2
    squared = ((frames[:half] - frames[half : 2 * half]) ** 2).sum(axis=1)
    squared = squared[squared > 0]
    if len(squared) == 0:
        raise ValueError("gamma='median' needs frames that differ; set gamma to a number")
    return float(np.median(squared))


def choose_gamma(shards: Shards, size: int, seed: int) -> float:
    """`median_gamma` of frames drawn from every block of the table's `size` segments."""
    per_block = -(-GAMMA_FRAMES // -(-size // BLOCK))
    samples = {
        block: frames for part in shards.call("sample_frames", seed, per_block) for block, frames in part.items()
    }
    frames = np.concatenate([samples[block] for block in sorted(samples)])
    return median_gamma(np.random.default_rng(seed).permutation(frames))


def median_length(histogram: np.ndarray) -> int:
    """The (lower) median of lengths given as counts per length."""
    return int(np.searchsorted(np.cumsum(histogram), histogram.sum() / 2))


def plus_plus(
    segments: Ragged,
    count: int,
    length: int,
    gamma: float,
    weights: np.ndarray,
    rng: np.random.Generator,
    own: np.ndarray | None = None,
    threads: int = 1,
) -> np.ndarray:
    """k-means++: segments drawn one after another, each with probability proportional to weight times potential.

    The potential is the divergence to the nearest centroid so far: non-negative, and like a squared distance, so it is
    not squared again. Of 2 + ln K draws the one that leaves the least potential is kept (greedy k-means++).

    Args:
        own: float64 [N], s(x, x) where it is known already.

    Returns:
        float64 [count, length, D], the drawn segments resampled to `length`.

    Source:
        Arthur & Vassilvitskii 2007.
    """
    own = self_values(segments, gamma, threads) if own is None else own
    trials = 2 + int(np.log(count))
    chosen = resample(segments[int(rng.choice(len(segments), p=weights / weights.sum()))], length)
    centroids = [chosen]
    potential = _divergence(segments, chosen[None], gamma, own, threads)[:, 0]
    while len(centroids) < count:
        share = weights * potential
        if share.sum() <= 0:  # every segment coincides with a centroid: any further one is as good
            share = weights
        drawn = rng.choice(len(segments), size=trials, p=share / share.sum())
        candidates = np.stack([resample(segments[int(i)], length) for i in drawn])
        left = np.minimum(potential[:, None], _divergence(segments, candidates, gamma, own, threads))
        best = int((weights[:, None] * left).sum(axis=0).argmin())
        centroids.append(candidates[best])
        potential = left[:, best]
    return np.stack(centroids)


def parallel_start(
    shards: Shards, size: int, count: int, length: int, gamma: float, seed: int, rounds: int = 5
) -> np.ndarray:
    """k-means||: a few passes that each draw about 2 K segments at once, then k-means of the drawn ones, weighted by
    who is near.

    Args:
        shards: prepared (gamma set). size: segments in all.

    Returns:
        float64 [count, length, D]; the same for any division into shards.

    Source:
        Bahmani et al. 2012, algorithm 2, with the divergence (non-negative) in the place of the squared distance.
    """
    from agser_core.gestures.kmeans import SoftDTWKMeans

    first = shards.take([np.random.default_rng([seed, 0]).integers(size)])
    candidates = resample(first[0], length)[None]
    potential = shards.sum("extend", candidates, 0)
    for turn in range(1, rounds + 1):
        drawn = (
            [entry for part in shards.call("draw", seed, turn, 2 * count / potential) for entry in part]
            if potential > 0
            else []
        )
        if drawn:
            new = np.stack([resample(segment, length) for _, segment in drawn])
            potential = shards.sum("extend", new, len(candidates))
            candidates = np.concatenate([candidates, new])
    if (
        len(candidates) <= count
    ):  # few distinct segments: the rest of the centroids repeat, and empty clusters are filled later
        return candidates[np.arange(count) % len(candidates)]
    weights = shards.sum("candidate_weights", len(candidates))
    model = SoftDTWKMeans(count, gamma=gamma, length=length, n_init=1, max_iter=20, random_state=seed)
    return model.fit(candidates, sample_weight=weights).cluster_centers_


def _divergence(segments: Ragged, references: np.ndarray, gamma: float, own: np.ndarray, threads: int) -> np.ndarray:
    """[N, K] divergence with s(x, x) known."""
    table = as_ragged(references)
    values = cross_values(segments, table, scaling_for(segments, table, gamma), threads)
    return np.maximum(values - 0.5 * own[:, None] - 0.5 * self_values(table, gamma), 0)
