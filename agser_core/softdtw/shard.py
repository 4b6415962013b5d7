"""A run of whole blocks of segments in memory, and every step of a clustering that must look at segments.

A fit on one machine holds one shard, a distributed fit one an actor; the loops in `agser_core.gestures` only see the
sums that shards return. Those come as nodes of the fixed tree (`statistics.py`), and all randomness is drawn per block,
so nothing depends on how blocks are spread over shards or threads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agser_core.ragged import Ragged, as_ragged
from agser_core.softdtw.averages import self_statistics
from agser_core.softdtw.pairs import Metric, cross_values, own_values
from agser_core.softdtw.scaling import Scaling, check_finite, choose_scaling, run_tasks
from agser_core.softdtw.statistics import BLOCK, Statistics, block_statistics, subtree_sums


class Shard:
    """Segments first_block * BLOCK ... of a table.

    Args:
        segments: the shard's segments, whole blocks (only the table's last block may be short).
        weights: float64 [N] >= 0.
        first_block: index of the shard's first block in the table.
        threads: threads to use; no result depends on it.
    """

    def __init__(self, segments: Ragged, weights: np.ndarray, first_block: int = 0, threads: int = 1) -> None:
        self.segments, self.weights, self.first_block, self.threads = segments, weights, first_block, threads
        self.magnitude = check_finite(segments, first=first_block * BLOCK)
        self.longest = int(segments.lengths.max())
        self.gamma, self.metric = 0.0, "divergence"
        self.labels = np.full(len(segments), -1, np.int32)
        self.distances = np.full(len(segments), np.inf)
        self.own: np.ndarray | None = None
        self.potential = np.full(len(segments), np.inf)
        self.nearest = np.full(len(segments), -1, np.int32)

    def _by_block(self, task: Callable[[int, slice, Ragged], object]) -> dict[int, object]:
        """{block: task(block, its rows, its segments)}."""
        starts = range(0, len(self.segments), BLOCK)

        def run(start: int) -> object:
            rows = slice(start, min(start + BLOCK, len(self.segments)))
            return task(self.first_block + start // BLOCK, rows, self.segments.slice(rows.start, rows.stop))

        results = run_tasks([lambda start=start: run(start) for start in starts], self.threads)
        return {self.first_block + start // BLOCK: result for start, result in zip(starts, results, strict=True)}

    def describe(self) -> tuple[float, np.ndarray]:
        """Largest |coordinate| and the histogram of lengths; every shard is then told the largest of all
        (`prepare`)."""
        return self.magnitude, np.bincount(self.segments.lengths)

    def sample_frames(self, seed: int, count: int) -> dict[int, np.ndarray]:
        """{block: up to `count` random frames}, for the choice of gamma."""

        def task(block: int, rows: slice, segments: Ragged) -> np.ndarray:
            first, last = segments.offsets[0], segments.offsets[-1]
            chosen = np.random.default_rng([seed, block]).integers(first, last, count)
            return segments.frames[chosen].astype(np.float64)

        return self._by_block(task)

    def sum_frames(self) -> dict[tuple[int, int], np.ndarray]:
        """Nodes of the sum of all frames, [D]."""
        return subtree_sums(
            self._by_block(
                lambda block, rows, segments: segments.frames[segments.offsets[0] : segments.offsets[-1]].sum(
                    axis=0, dtype=np.float64
                )
            )
        )

    def prepare(
        self, gamma: float, metric: Metric, magnitude: float, longest: int, centre: np.ndarray
    ) -> dict[tuple[int, int], float]:
        """Sets what a fit needs, computes s(x, x); returns nodes of sum w s(x, x). centre [D]: the table's mean
        frame."""
        self.gamma, self.metric, self.magnitude, self.longest = gamma, metric, magnitude, longest
        scaling = choose_scaling(magnitude, centre, 2 * longest, gamma, self.segments.frames.dtype)
        self.own = own_values(self.segments, scaling, self.threads)
        return subtree_sums(
            self._by_block(lambda block, rows, segments: float((self.weights[rows] * self.own[rows]).sum()))
        )

    def _scaling(self, centroids: np.ndarray) -> Scaling:
        magnitude = max(self.magnitude, float(np.abs(centroids).max()))
        shift = centroids.mean(axis=(0, 1))
        return choose_scaling(
            magnitude, shift, self.longest + centroids.shape[1], self.gamma, self.segments.frames.dtype
        )

    def assign(self, centroids: np.ndarray) -> tuple[dict[tuple[int, int], Statistics], int]:
        """Labels and distances of every segment (kept here); returns nodes of `Statistics` at these centroids and how
        many labels moved."""
        scaling, references = self._scaling(centroids), as_ragged(centroids)
        correction = 0.5 * self_statistics(centroids, self.gamma).value if self.metric == "divergence" else 0.0

        def task(block: int, rows: slice, segments: Ragged) -> tuple[Statistics, int]:
            distances = cross_values(segments, references, scaling) - correction
            labels = distances.argmin(axis=1).astype(np.int32)
            moved = int((labels != self.labels[rows]).sum())
            self.labels[rows] = labels
            self.distances[rows] = distances[np.arange(len(labels)), labels]
            if self.metric == "divergence":
                self.distances[rows] -= 0.5 * self.own[rows]
            return block_statistics(segments.astype(scaling.dtype), labels, self.weights[rows], centroids, scaling)[
                0
            ], moved

        results = self._by_block(task)
        return (
            subtree_sums({block: statistics for block, (statistics, _) in results.items()}),
            sum(moved for _, moved in results.values()),
        )

    def refine(self, centroids: np.ndarray) -> dict[tuple[int, int], Statistics]:
        """Nodes of `Statistics` at other centroids, the labels as they are."""
        scaling = self._scaling(centroids)

        def task(block: int, rows: slice, segments: Ragged) -> Statistics:
            return block_statistics(
                segments.astype(scaling.dtype), self.labels[rows], self.weights[rows], centroids, scaling
            )[0]

        return subtree_sums(self._by_block(task))

    def worst_served(self, count: int) -> list[tuple[float, int, np.ndarray]]:
        """(weight * distance, place in the table, segment) of the segments farthest from their centroid, farthest
        first."""
        cost = self.weights * self.distances
        order = np.lexsort((np.arange(len(cost)), -cost))[:count]
        return [(float(cost[i]), self.first_block * BLOCK + int(i), self.segments[i].copy()) for i in order]

    def take(self, places: np.ndarray) -> dict[int, np.ndarray]:
        """The segments at those of the places of the table that lie in this shard."""
        first = self.first_block * BLOCK
        here = places[(first <= places) & (places < first + len(self.segments))]
        return {int(place): self.segments[int(place) - first].copy() for place in here}

    def extend(self, candidates: np.ndarray, first: int) -> dict[tuple[int, int], float]:
        """Takes new candidates [M, T, D], numbered from `first`, into the divergence to the nearest candidate so far;
        0 starts anew.

        Returns nodes of the summed weight times that potential.
        """
        if first == 0:
            self.potential[:] = np.inf
        scaling, references = self._scaling(candidates), as_ragged(candidates)
        correction = 0.5 * self_statistics(candidates, self.gamma).value

        def task(block: int, rows: slice, segments: Ragged) -> float:
            values = cross_values(segments, references, scaling) - correction - 0.5 * self.own[rows, None]
            values = np.maximum(values, 0)
            best = values.argmin(axis=1)
            least = values[np.arange(len(best)), best]
            closer = least < self.potential[rows]
            self.nearest[rows] = np.where(closer, first + best, self.nearest[rows])
            self.potential[rows] = np.minimum(least, self.potential[rows])
            return float((self.weights[rows] * self.potential[rows]).sum())

        return subtree_sums(self._by_block(task))

    def draw(self, seed: int, turn: int, factor: float) -> list[tuple[int, np.ndarray]]:
        """(place, segment) of segments drawn independently, each with probability factor * weight * potential, at
        most 1."""

        def task(block: int, rows: slice, segments: Ragged) -> list[tuple[int, np.ndarray]]:
            chance = np.random.default_rng([seed, turn, block]).random(len(segments))
            chosen = np.flatnonzero(chance < factor * self.weights[rows] * self.potential[rows])
            return [(block * BLOCK + int(i), segments[i].copy()) for i in chosen]

        return [drawn for part in self._by_block(task).values() for drawn in part]

    def candidate_weights(self, count: int) -> dict[tuple[int, int], np.ndarray]:
        """Nodes of the summed weight of the segments nearest to each of `count` candidates."""

        def task(block: int, rows: slice, segments: Ragged) -> np.ndarray:
            return np.bincount(self.nearest[rows], weights=self.weights[rows], minlength=count)

        return subtree_sums(self._by_block(task))

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels and distances of the last assignment, in the order of the table."""
        return self.labels, self.distances

    def sample_divergences(self, step: int, centroids: np.ndarray) -> np.ndarray:
        """Divergence of every `step`-th segment of the table to the centroid of its label."""
        chosen = np.arange(-(self.first_block * BLOCK) % step, len(self.segments), step)
        if self.metric == "divergence":
            return self.distances[chosen]
        correction = self_statistics(centroids, self.gamma).value[self.labels[chosen]]
        return self.distances[chosen] - 0.5 * self.own[chosen] - 0.5 * correction
