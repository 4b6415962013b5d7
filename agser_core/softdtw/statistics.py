"""What a centroid update needs, as sums over segments that come out the same however the segments are spread over
workers.

With E the shares of the paths through each cell (kernel.py), of segment x and the centroid c of its cluster:
    S[k, j] = sum_x w sum_i E[i, j] x_i,   W[k, j] = sum_x w sum_i E[i, j],   d/dc sum_x w s(x, c) = 2 (c W - S).

Segments are taken in blocks of `BLOCK` by their place in the whole table, and blocks are summed along one fixed binary
tree. A worker that holds a run of whole blocks sums the subtrees it owns and sends those; whoever collects them
finishes the tree. Floating-point sums depend on their order, and here the order depends on nothing but the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agser_core.ragged import Ragged
from agser_core.softdtw import kernel
from agser_core.softdtw.pairs import reference_tables, stable_order
from agser_core.softdtw.reference import shares_reference
from agser_core.softdtw.scaling import Scaling

LONG = 2**17  # cells of a pair above which the kernel's memory (512 bytes a cell) is not spent on it
BLOCK = 16384  # segments; shards are whole blocks. Large enough that few lanes stay empty per cluster


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sums over segments, one row a cluster.

    Attributes:
        sums: float64 [K, T, D], S in the segments' units.
        visits: float64 [K, T], W.
        weight: float64 [K], summed weights of the members.
        count: int64 [K], members.
        value: float64 [K], weighted sum of soft-DTW of the members to their centroid.
    """

    sums: np.ndarray
    visits: np.ndarray
    weight: np.ndarray
    count: np.ndarray
    value: np.ndarray

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.sums + other.sums,
            self.visits + other.visits,
            self.weight + other.weight,
            self.count + other.count,
            self.value + other.value,
        )

    def gradient(self, centroids: np.ndarray) -> np.ndarray:
        """[K, T, D]: derivative of `value` with respect to the centroids the statistics were taken at."""
        return 2 * (centroids * self.visits[..., None] - self.sums)


def block_statistics(
    segments: Ragged, labels: np.ndarray, weights: np.ndarray, centroids: np.ndarray, scaling: Scaling
) -> tuple[Statistics, np.ndarray]:
    """Sums over the segments of one block.

    Args:
        segments: N of the scaling's float type. labels: int [N], the cluster of each. weights: float [N].
        centroids: [K, T, D].

    Returns:
        the sums, and float64 [N] soft-DTW of each segment to the centroid of its cluster.
    """
    clusters, length, dimension = centroids.shape
    values = np.zeros((len(segments), 1))
    sums, visits = np.zeros((clusters, length, dimension)), np.zeros((clusters, length))
    lengths, count = segments.lengths, np.bincount(labels, minlength=clusters)
    members, long = stable_order(labels * np.int64(lengths.max() + 1) + lengths), lengths > LONG // length
    bounds = np.concatenate([[0], np.cumsum(count - np.bincount(labels[long], minlength=clusters))])
    if long.any():
        members = members[~long[members]]
    if len(members):
        kernel.statistics(
            segments.frames,
            segments.offsets,
            members,
            lengths[members],
            bounds,
            weights[members].astype(scaling.dtype),
            reference_tables(scaling.apply(centroids)),
            length,
            scaling.shift,
            scaling.scale,
            scaling.one,
            scaling.no_path,
            scaling.tiny,
            values,
            sums,
            visits,
        )
    values *= scaling.unit
    sums = scaling.restore_sums(sums, visits)
    for member in np.flatnonzero(long):
        k = labels[member]
        values[member], shares = shares_reference(segments[member], centroids[k], scaling.gamma)
        sums[k] += weights[member] * np.einsum("ij,id->jd", shares, segments[member].astype(np.float64))
        visits[k] += weights[member] * shares.sum(axis=0)
    weight = np.bincount(labels, weights=weights, minlength=clusters)
    value = np.bincount(labels, weights=weights * values[:, 0], minlength=clusters)
    return Statistics(sums, visits, weight, count, value), values[:, 0]


def subtree_sums(blocks: dict[int, Statistics]) -> dict[tuple[int, int], Statistics]:
    """Sums the neighbours among the blocks (index -> sums) as far up the fixed tree as they go without other blocks.

    Returns:
        {(level, index): sums}; node (level, index) stands for blocks index * 2**level ... (index + 1) * 2**level - 1.
    """
    return join_subtrees({(0, index): block for index, block in blocks.items()})


def join_subtrees(nodes: dict[tuple[int, int], Statistics]) -> dict[tuple[int, int], Statistics]:
    """Adds every pair of sibling nodes, from the leaves up; what has no sibling stays."""
    level, done = 0, {}
    nodes = dict(nodes)
    while nodes:
        here = {index: nodes.pop((level, index)) for at, index in sorted(nodes) if at == level}
        for index in sorted(here):
            if index % 2 == 0 and index + 1 in here:
                nodes[level + 1, index // 2] = here[index] + here[index + 1]
            elif not (index % 2 and index - 1 in here):
                done[level, index] = here[index]
        level += 1
    return done


def total(nodes: dict[tuple[int, int], Statistics]) -> Statistics:
    """The sum of everything: full subtrees first, then the ragged right edge, from the largest subtree down."""
    joined = join_subtrees(nodes)
    ordered = [joined[key] for key in sorted(joined, key=lambda key: key[1] << key[0])]
    result = ordered[0]
    for part in ordered[1:]:
        result = result + part
    return result
