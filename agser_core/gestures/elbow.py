"""How many gestures: the elbow of the inertia over K, with the silhouette beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import silhouette_score
from sklearn.utils import check_random_state

from agser_core.gestures.fit_log import FitLog
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.gestures.lloyd import Shards
from agser_core.ragged import as_ragged
from agser_core.softdtw.pairs import Segments, pairwise


@dataclass(frozen=True, eq=False)
class Elbow:
    """The curve over K: inertia and, beside it, the silhouette of a sample (-1..1, higher is better); the choice by
    the elbow, the models."""

    clusters: list[int]
    inertia: list[float]
    silhouette: list[float]
    chosen: int
    models: list[SoftDTWKMeans]

    @property
    def model(self) -> SoftDTWKMeans:
        """The model of the chosen K."""
        return self.models[self.clusters.index(self.chosen)]


def elbow_point(clusters: list[int], inertia: list[float]) -> int:
    """The K whose point lies farthest below the chord from the first to the last point of the curve, both axes scaled
    to 0..1.

    The first of equals; the smallest K where the curve has fewer than three points or does not fall.

    Source:
        Satopaa et al. 2011 (Kneedle), for a decreasing convex curve without smoothing.
    """
    x, y = np.asarray(clusters, np.float64), np.asarray(inertia, np.float64)
    if len(x) < 3 or y[0] <= y[-1]:
        return int(clusters[0])
    below = (1 - (x - x[0]) / (x[-1] - x[0])) - (y - y[-1]) / (y[0] - y[-1])
    return int(clusters[int(below.argmax())])


def choose_k(
    segments: Segments | Shards,
    clusters: Iterable[int],
    *,
    sample: int = 1000,
    random_state: int | None = None,
    sample_weight: np.ndarray | None = None,
    log: FitLog | None = None,
    **parameters: object,
) -> Elbow:
    """Fits every K and returns the curve.

    Args:
        segments, sample_weight, log: as `SoftDTWKMeans.fit`.
        clusters: the K to try, each at least 2 and below the number of segments.
        sample: segments that the silhouette looks at (it needs all their divergences to each other).
        parameters: further arguments of `SoftDTWKMeans`. gamma="median" is settled once, so the inertias compare.
    """
    segments = segments if isinstance(segments, Shards) else as_ragged(segments)
    tried = sorted(set(int(k) for k in clusters))
    if not tried or tried[0] < 2 or tried[-1] >= len(segments):
        raise ValueError(f"clusters {tried} for {len(segments)} segments: wanted 2 to the number of segments - 1")
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    chosen = np.random.default_rng(seed).choice(len(segments), min(sample, len(segments)), replace=False)
    models: list[SoftDTWKMeans] = []
    for k in tried:
        if models:
            parameters["gamma"] = models[0].gamma_
        model = SoftDTWKMeans(k, random_state=seed, **parameters)
        models.append(model.fit(segments, sample_weight=sample_weight, log=log))
    part = segments.take(chosen)
    between = pairwise(part, part, models[0].gamma_, threads=models[0].threads)
    between = np.maximum((between + between.T) / 2, 0)
    np.fill_diagonal(between, 0)
    silhouette = [_silhouette(between, model.predict(part)) for model in models]
    inertia = [model.inertia_ for model in models]
    return Elbow(tried, inertia, silhouette, elbow_point(tried, inertia), models)


def _silhouette(between: np.ndarray, labels: np.ndarray) -> float:
    """NaN-free: -1 where the sample holds fewer than two clusters or every segment its own."""
    if not 2 <= len(np.unique(labels)) < len(labels):
        return -1.0
    return float(silhouette_score(between, labels, metric="precomputed"))
