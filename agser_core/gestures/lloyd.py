"""The clustering loop: one pure function from start centroids to a local minimum, whoever holds the segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from agser_core.ragged import Ragged
from agser_core.softdtw.averages import objective_and_step, polished, resample
from agser_core.softdtw.pairs import Metric
from agser_core.softdtw.shard import Shard
from agser_core.softdtw.statistics import Statistics, total


class Shards:
    """The table's segments in one shard or many, near or far; sums over all of them.

    Args:
        call: call(method, *arguments) runs that method of `Shard` on every shard, returns the results in the order of
            the table.
    """

    def __init__(self, call: Callable[..., list]) -> None:
        self.call = call

    @classmethod
    def of(cls, *shards: Shard) -> Shards:
        """Shards in this process."""
        return cls(lambda method, *arguments: [getattr(shard, method)(*arguments) for shard in shards])

    def __len__(self) -> int:
        """Segments in all."""
        return sum(int(histogram.sum()) for _, histogram in self.call("describe"))

    def take(self, places: np.ndarray) -> Ragged:
        """A copy of the segments at some places of the table."""
        found = {place: segment for part in self.call("take", np.asarray(places)) for place, segment in part.items()}
        return Ragged.from_list([found[int(place)] for place in places])

    def assign(self, centroids: np.ndarray) -> tuple[Statistics, int]:
        """Every segment to its nearest centroid: the statistics, and how many labels moved."""
        results = self.call("assign", centroids)
        return self._total([nodes for nodes, _ in results]), sum(moved for _, moved in results)

    def refine(self, centroids: np.ndarray) -> Statistics:
        """Statistics at other centroids, the labels as they are."""
        return self.sum("refine", centroids)

    def worst_served(self, count: int) -> list[tuple[float, int, np.ndarray]]:
        """`Shard.worst_served` over the whole table."""
        found = [entry for part in self.call("worst_served", count) for entry in part]
        return sorted(found, key=lambda entry: (-entry[0], entry[1]))[:count]

    def sum(self, method: str, *arguments: object):
        """The sum of a method that returns nodes of the fixed tree."""
        return self._total(self.call(method, *arguments))

    @staticmethod
    def _total(parts: list[dict]):
        return total({place: value for nodes in parts for place, value in nodes.items()})


@dataclass(frozen=True, eq=False)
class Progress:
    """One assignment pass, and all that a fit needs to go on from it: objectives so far (the last is the inertia at
    `centroids`), labels that moved, cluster sizes, damping of the divergence's steps, whether no update follows."""

    iteration: int
    objectives: list[float]
    centroids: np.ndarray
    damping: np.ndarray
    moved: int
    count: np.ndarray
    halted: bool = False


@dataclass(frozen=True, eq=False)
class Fit:
    """Centroids [K, T, D], their inertia, the inertia before each update and at the end, and the number of updates."""

    centroids: np.ndarray
    inertia: float
    objectives: list[float] = field(default_factory=list)
    n_iter: int = 0
    converged: bool = False


def lloyd(
    shards: Shards,
    centroids: np.ndarray,
    *,
    gamma: float,
    metric: Metric,
    constant: float = 0.0,
    max_iter: int = 50,
    tol: float = 1e-4,
    passes: int = 1,
    polish: bool = False,
    resume: Progress | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Fit:
    """Lloyd's algorithm under soft-DTW or its divergence; the objective never rises.

    Each iteration assigns every segment to its nearest centroid, fills empty clusters with the segments served worst,
    and takes `passes` centroid updates (`objective_and_step`). At the end the shards' labels belong to the returned
    centroids.

    Args:
        shards: the segments. centroids: float64 [K, T, D], the start.
        constant: what to add to the objective: - sum w s(x, x) / 2 for the divergence.
        max_iter: updates at most. tol: stop when the objective falls by less than this share of itself, or no label
            moves.
        polish: end with L-BFGS on the centroids of the last labels, then assign once more.
        resume: a report of an earlier, broken off call with the same arguments: goes on from there, to the same result.
        report: called after each assignment.
    """
    centroids = np.array(centroids, np.float64)
    damping, objectives, iteration = np.ones(len(centroids)), [], 0
    if resume is not None:  # the assignment it reports is made again, for the shards' labels
        centroids, damping, iteration, objectives = (
            resume.centroids,
            resume.damping,
            resume.iteration,
            resume.objectives[:-1],
        )
    converged, halted = False, resume is not None and resume.halted
    while True:
        statistics, moved = shards.assign(centroids)
        if not halted and iteration < max_iter and (statistics.weight == 0).any():
            centroids = fill_empty(centroids, statistics.weight, shards.worst_served(len(centroids)))
            statistics, moved = shards.assign(centroids)
        step = objective_and_step(statistics, centroids, gamma, metric, damping)
        objectives.append(float(step.objective.sum()) + constant)
        report(Progress(iteration, list(objectives), centroids, damping, moved, statistics.count, halted))
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
            step = type(step)(
                np.where(better, trial.objective, step.objective),
                np.where(better[:, None, None], trial.proposal, shorter),
            )
        if polish and iteration >= max_iter:
            halted = True
            centroids = polished(centroids, shards.refine, gamma, metric)
    return Fit(centroids, objectives[-1], objectives, iteration, converged)


def fill_empty(centroids: np.ndarray, weight: np.ndarray, worst: list[tuple[float, int, np.ndarray]]) -> np.ndarray:
    """Centroids with every empty cluster (weight 0) moved onto one of the segments served worst, farthest first."""
    centroids = centroids.copy()
    for k, (_, _, segment) in zip(np.flatnonzero(weight == 0), worst, strict=False):
        centroids[k] = resample(segment, centroids.shape[1])
    return centroids
