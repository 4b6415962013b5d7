"""Soft-DTW and its divergence between every segment and every reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from agser_core.ragged import Ragged, as_ragged
from agser_core.softdtw import gpu, kernel
from agser_core.softdtw.scaling import Scaling, check_dimension, check_finite, check_gamma, choose_scaling, run_tasks

Metric = Literal["divergence", "soft_dtw"]
Segments = Ragged | np.ndarray | Sequence[np.ndarray]

NEAR = 16384  # segments sorted by length together: enough to fill lanes evenly, near enough in memory
TASK = 4096  # segments a thread takes at a time. Results depend on neither


def check_metric(metric: str) -> None:
    if metric not in ("divergence", "soft_dtw"):
        raise ValueError(f'metric must be "divergence" or "soft_dtw", got {metric!r}')


def stable_order(keys: np.ndarray) -> np.ndarray:
    """Stable argsort of integers >= 0; numpy sorts 16 bits by counting."""
    return np.argsort(keys.astype(np.uint16) if keys.max(initial=0) < 2**16 else keys, kind="stable")


def by_length(segments: Ragged, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The members, shortest first (stable), and their lengths: neighbours in a batch waste no lanes."""
    lengths = segments.offsets[members + 1] - segments.offsets[members]
    order = stable_order(lengths)
    return members[order], lengths[order]


def batches(segments: Ragged) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices and lengths of the segments, in parts for threads, each sorted by length."""
    for start in range(0, len(segments), NEAR):
        members, lengths = by_length(segments, np.arange(start, min(start + NEAR, len(segments))))
        for first in range(0, len(members), TASK):
            yield members[first : first + TASK], lengths[first : first + TASK]


def scaling_for(segments: Ragged, references: Ragged, gamma: float) -> Scaling:
    """Checks both sides and chooses the scaling they share."""
    gamma = check_gamma(gamma)
    check_dimension(segments, references)
    magnitude = max(check_finite(segments), check_finite(references, "reference"))
    used = references.frames[references.offsets[0] : references.offsets[-1]]
    steps = int(segments.lengths.max() + references.lengths.max())
    return choose_scaling(magnitude, used.mean(axis=0, dtype=np.float64), steps, gamma, segments.frames.dtype)


def reference_tables(references: np.ndarray) -> np.ndarray:
    """The kernel's layout of references [K, T, D] of one length: [K, ...], see `table` in `kernel.py`."""
    count, length, dimension = references.shape
    columns = -(-length // kernel.COLUMNS) * kernel.COLUMNS
    padded = -(-dimension // kernel.CHUNK) * kernel.CHUNK
    table = np.zeros((count, columns, padded), references.dtype)
    table[:, :length, :dimension] = references
    return table.reshape(count, -1, kernel.COLUMNS, padded).swapaxes(2, 3).reshape(count, -1)


def cross_values(segments: Ragged, references: Ragged, scaling: Scaling, threads: int = 1) -> np.ndarray:
    """float64 [N, K] of soft-DTW; the arguments have passed `scaling_for`."""
    out = np.empty((len(segments), len(references)))
    segments = segments.astype(scaling.dtype)
    lengths = references.lengths
    groups = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
    stacks = [scaling.apply(np.stack([references[k] for k in group])) for group in groups]
    if gpu.has_device() and gpu.fits(int(lengths.max()), segments.dimension, scaling):
        from agser_core.softdtw import cuda_kernel

        for group, stack in zip(groups, stacks, strict=True):
            cuda_kernel.values(segments, stack, group, scaling, out)
    else:
        tables = [reference_tables(stack) for stack in stacks]

        def task(members: np.ndarray, member_lengths: np.ndarray) -> None:
            for group, table in zip(groups, tables, strict=True):
                kernel.values(
                    segments.frames,
                    segments.offsets,
                    members,
                    member_lengths,
                    table,
                    group,
                    int(lengths[group[0]]),
                    scaling.shift,
                    scaling.scale,
                    scaling.one,
                    scaling.no_path,
                    out,
                )

        run_tasks([lambda part=part: task(*part) for part in batches(segments)], threads)
    out *= scaling.unit
    return out


def own_values(segments: Ragged, scaling: Scaling, threads: int = 1) -> np.ndarray:
    """float64 [N]: soft-DTW of every segment with itself, the s(x, x) of the divergence."""
    out = np.empty((len(segments), 1))
    segments = segments.astype(scaling.dtype)

    def task(members: np.ndarray, lengths: np.ndarray) -> None:
        kernel.self_values(
            segments.frames,
            segments.offsets,
            members,
            lengths,
            scaling.shift,
            scaling.scale,
            scaling.one,
            scaling.no_path,
            out,
        )

    run_tasks([lambda part=part: task(*part) for part in batches(segments)], threads)
    out *= scaling.unit
    return out[:, 0]


def self_values(segments: Ragged, gamma: float, threads: int = 1) -> np.ndarray:
    """`own_values` with checks, and a scaling of the segments' own."""
    return own_values(segments, scaling_for(segments, segments, gamma), threads)


def pairwise(
    segments: Segments, references: Segments, gamma: float, *, metric: Metric = "divergence", threads: int = 1
) -> np.ndarray:
    """Soft-DTW or its divergence of every segment to every reference.

    Args:
        segments: N series [n_i, D] (`Ragged`, list of arrays, or array [N, n, D]). Computed in their float type.
        references: K series [m_k, D] of any lengths.
        gamma: smoothing, in squared units of the coordinates, above 0.
        metric: "soft_dtw" s(x, y) = softmin over monotone paths of the summed squared distances (it can be negative),
            or "divergence" s(x, y) - s(x, x)/2 - s(y, y)/2 >= 0, which is 0 exactly where x = y.
        threads: threads to use; the result is the same to the last bit for any number. Where there is a CUDA
            device, the values are computed there instead.

    Returns:
        float64 [N, K].

    Raises:
        ValueError: NaN or infinity, an empty segment, different D (the segment is named), gamma <= 0.

    Source:
        Cuturi & Blondel 2017, eq. 3 and algorithm 1; Blondel, Mensch & Vert 2021, eq. 8 (divergence).
    """
    check_metric(metric)
    segments, references = as_ragged(segments), as_ragged(references)
    scaling = scaling_for(segments, references, gamma)
    values = cross_values(segments, references, scaling, threads)
    if metric == "divergence":
        values -= 0.5 * self_values(segments, gamma, threads)[:, None]
        values -= 0.5 * self_values(references, gamma)[None, :]
        np.maximum(values, 0, out=values)  # rounding can leave -1e-7 for alike series
    return values


def soft_dtw(x: np.ndarray, y: np.ndarray, gamma: float) -> float:
    """Soft-DTW of two series [n, D] and [m, D]; see `pairwise`.

    >>> soft_dtw(np.zeros((2, 1)), np.zeros((2, 1)), 1.0)  # three paths of cost 0: -ln 3
    -1.0986122886681...
    """
    return float(pairwise([x], [y], gamma, metric="soft_dtw")[0, 0])


def soft_dtw_divergence(x: np.ndarray, y: np.ndarray, gamma: float) -> float:
    """Soft-DTW divergence of two series [n, D] and [m, D], >= 0, 0 where x = y; see `pairwise`."""
    return float(pairwise([x], [y], gamma, metric="divergence")[0, 0])
