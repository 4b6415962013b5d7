"""The clustering loop: one pure function from start centroids to a local minimum, whoever holds the segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from agser_core.softdtw.averages import objective_and_step, polished, resample
from agser_core.softdtw.pairs import Metric
from agser_core.softdtw.shard import Shard
from agser_core.softdtw.statistics import Statistics, total


class Shards(Protocol):
    """The table's segments, in one shard or many."""

    def assign(self, centroids: np.ndarray) -> tuple[Statistics, int]: ...

    def refine(self, centroids: np.ndarray) -> Statistics: ...

    def worst_served(self, count: int) -> list[tuple[float, int, np.ndarray]]: ...


class OneShard:
    """`Shards` of a single shard in this process."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard

    def assign(self, centroids: np.ndarray) -> tuple[Statistics, int]:
        nodes, moved = self.shard.assign(centroids)
        return total(nodes), moved

    def refine(self, centroids: np.ndarray) -> Statistics:
        return total(self.shard.refine(centroids))

    def worst_served(self, count: int) -> list[tuple[float, int, np.ndarray]]:
        return self.shard.worst_served(count)


@dataclass(frozen=True)
class Progress:
    """One assignment pass: `objective` is the inertia at `centroids`, `moved` the labels that changed, `count` the cluster sizes."""

    iteration: int
    objective: float
    moved: int
    centroids: np.ndarray
    count: np.ndarray


@dataclass(frozen=True, eq=False)
class Fit:
    """Centroids [K, T, D], their inertia, the inertia before each update and at the end, and the number of updates."""

    centroids: np.ndarray
    inertia: float
    objectives: list[float] = field(default_factory=list)
    n_iter: int = 0
    converged: bool = False


def lloyd(shards: Shards, centroids: np.ndarray, *, gamma: float, metric: Metric, constant: float = 0.0, max_iter: int = 50,
          tol: float = 1e-4, passes: int = 1, polish: bool = False, start_iteration: int = 0,
          report: Callable[[Progress], None] = lambda progress: None) -> Fit:
    """Lloyd's algorithm under soft-DTW or its divergence; the objective never rises.

    Each iteration assigns every segment to its nearest centroid, fills empty clusters with the segments served worst, and takes
    `passes` centroid updates (`objective_and_step`). At the end the shards' labels belong to the returned centroids.

    Args:
        shards: the segments. centroids: float64 [K, T, D], the start.
        constant: what to add to the objective: - sum w s(x, x) / 2 for the divergence.
        max_iter: updates at most. tol: stop when the objective falls by less than this share of itself, or no label moves.
        polish: end with L-BFGS on the centroids of the last labels, then assign once more.
        start_iteration: number of the first iteration (a resumed fit). report: called after each assignment.
    """
    centroids = np.array(centroids, np.float64)
    damping = np.ones(len(centroids))
    objectives: list[float] = []
    iteration, converged, halted = start_iteration, False, False
    while True:
        statistics, moved = shards.assign(centroids)
        if not halted and iteration < max_iter and (statistics.weight == 0).any():
            centroids = fill_empty(centroids, statistics.weight, shards.worst_served(len(centroids)))
            statistics, moved = shards.assign(centroids)
        step = objective_and_step(statistics, centroids, gamma, metric, damping)
        objectives.append(float(step.objective.sum()) + constant)
        report(Progress(iteration, objectives[-1], moved, centroids, statistics.count))
        if halted or iteration >= max_iter:
            break
        if len(objectives) > 1:
            fall = objectives[-2] - objectives[-1]
            converged = fall <= tol * abs(objectives[-1]) and bool((damping > 0.2).all() or fall <= 0)
        if converged:
            if not polish:
                break
            halted = True
            centroids = polished(centroids, shards.refine, gamma, metric)
            continue
        iteration += 1
        for update in range(passes):
            if metric == "soft_dtw":
                centroids = step.proposal
                if update + 1 < passes:
                    step = objective_and_step(shards.refine(centroids), centroids, gamma, metric, damping)
                continue
            trial = objective_and_step(shards.refine(step.proposal), step.proposal, gamma, metric, damping)
            better = trial.objective <= step.objective
            damping = np.where(better, np.minimum(1, 2 * damping), damping / 2)
            shorter = centroids + (step.proposal - centroids) / 2
            centroids = np.where(better[:, None, None], step.proposal, centroids)
            step = type(step)(np.where(better, trial.objective, step.objective),
                              np.where(better[:, None, None], trial.proposal, shorter))
        if polish and iteration >= max_iter:
            halted = True
            centroids = polished(centroids, shards.refine, gamma, metric)
    return Fit(centroids, objectives[-1], objectives, iteration - start_iteration, converged)


def fill_empty(centroids: np.ndarray, weight: np.ndarray, worst: list[tuple[float, int, np.ndarray]]) -> np.ndarray:
    """Centroids with every empty cluster (weight 0) moved onto one of the segments served worst, farthest first."""
    centroids = centroids.copy()
    for k, (_, _, segment) in zip(np.flatnonzero(weight == 0), worst, strict=False):
        centroids[k] = resample(segment, centroids.shape[1])
    return centroids
