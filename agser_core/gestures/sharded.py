"""The k-means of a table that is held in shards: the same steps whether a shard is an object here or an actor
elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agser_core.gestures.initialisation import choose_gamma, median_length, parallel_start
from agser_core.gestures.lloyd import Fit, Progress, Shards, lloyd
from agser_core.softdtw.pairs import Metric, check_metric
from agser_core.softdtw.scaling import check_gamma


@dataclass(frozen=True)
class ShardedSettings:
    """What a fit depends on, besides the segments: see `SoftDTWKMeans`. The start is k-means||."""

    n_clusters: int = 10
    gamma: float | str = "median"
    metric: Metric = "divergence"
    length: int | None = None
    max_iter: int = 20
    tol: float = 1e-4
    passes: int = 1
    seed: int = 0


def fit_sharded(
    shards: Shards,
    settings: ShardedSettings,
    *,
    resume: Progress | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Fit, float]:
    """Centroids and gamma; the shards keep the labels. Nothing depends on how the table is cut into shards.

    Args:
        resume: a report of an earlier call with the same settings and segments; start and passes made before are not
            repeated.
        report: called after each assignment pass.

    Raises:
        ValueError: as `SoftDTWKMeans.fit`.
    """
    check_metric(settings.metric)
    described = shards.call("describe")
    magnitude = max(magnitude for magnitude, _ in described)
    histogram = np.zeros(max(len(lengths) for _, lengths in described), np.int64)
    for _, lengths in described:
        histogram[: len(lengths)] += lengths
    size = int(histogram.sum())
    if not 1 <= settings.n_clusters <= size:
        raise ValueError(f"n_clusters = {settings.n_clusters} for {size} segments: wanted 1 to the number of segments")
    gamma = choose_gamma(shards, size, settings.seed) if settings.gamma == "median" else check_gamma(settings.gamma)
    centre = shards.sum("sum_frames") / (histogram @ np.arange(len(histogram)))
    own_sum = shards.sum("prepare", gamma, settings.metric, magnitude, len(histogram) - 1, centre)
    length = median_length(histogram) if settings.length is None else settings.length
    centroids = (
        resume.centroids if resume else parallel_start(shards, size, settings.n_clusters, length, gamma, settings.seed)
    )
    constant = -0.5 * own_sum if settings.metric == "divergence" else 0.0
    fit = lloyd(
        shards,
        centroids,
        gamma=gamma,
        metric=settings.metric,
        constant=constant,
        max_iter=settings.max_iter,
        tol=settings.tol,
        passes=settings.passes,
        resume=resume,
        report=report,
    )
    return fit, gamma
