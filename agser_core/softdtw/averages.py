"""Means of series under soft-DTW and under its divergence, and the gradient they rest on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agser_core.ragged import Ragged, as_ragged
from agser_core.softdtw.pairs import Metric, Segments, check_metric, scaling_for
from agser_core.softdtw.scaling import Scaling, check_finite, check_gamma, run_tasks
from agser_core.softdtw.statistics import BLOCK, Statistics, block_statistics, subtree_sums, total


def check_weights(weights: np.ndarray | None, count: int) -> np.ndarray:
    """float64 [N], ones by default; ValueError names the first negative or non-finite weight."""
    if weights is None:
        return np.ones(count)
    weights = np.asarray(weights, np.float64)
    if weights.shape != (count,):
        raise ValueError(f"weights have shape {weights.shape}, wanted ({count},): one a segment")
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        raise ValueError(f"segment {bad[0]} has weight {weights[bad[0]]}, wanted a finite number >= 0")
    if not weights.any():
        raise ValueError("all weights are 0")
    return weights


def resample(series: np.ndarray, length: int) -> np.ndarray:
    """The series [n, D] at `length` equally spaced times, linearly interpolated; float64 [length, D]."""
    positions = np.linspace(0, len(series) - 1, length) if length > 1 else np.array([(len(series) - 1) / 2])
    before = np.minimum(positions.astype(np.int64), max(len(series) - 2, 0))
    after = np.minimum(before + 1, len(series) - 1)
    share = (positions - before)[:, None]
    series = np.asarray(series, np.float64)
    return series[before] * (1 - share) + series[after] * share


def sum_statistics(
    segments: Ragged, labels: np.ndarray, weights: np.ndarray, centroids: np.ndarray, scaling: Scaling, threads: int = 1
) -> Statistics:
    """`block_statistics` over any number of segments, summed along the fixed tree."""

    def task(start: int) -> Statistics:
        stop = min(start + BLOCK, len(segments))
        return block_statistics(
            segments.slice(start, stop), labels[start:stop], weights[start:stop], centroids, scaling
        )[0]

    parts = run_tasks([lambda start=start: task(start) for start in range(0, len(segments), BLOCK)], threads)
    return total(subtree_sums(dict(enumerate(parts))))


def self_statistics(centroids: np.ndarray, gamma: float) -> Statistics:
    """Statistics of every centroid [K, T, D] with itself: `value` is s(c, c); `gradient` is the derivative of s(c, c)
    / 2."""
    own = as_ragged(np.asarray(centroids, np.float64))
    scaling = scaling_for(own, own, gamma)
    return block_statistics(own, np.arange(len(own)), np.ones(len(own)), centroids, scaling)[0]


@dataclass(frozen=True, eq=False)
class Step:
    """Per cluster: objective (up to a constant of the members) at `centroids`, and the proposed centroids."""

    objective: np.ndarray  # [K]
    proposal: np.ndarray  # [K, T, D]


def objective_and_step(
    statistics: Statistics, centroids: np.ndarray, gamma: float, metric: Metric, damping: np.ndarray
) -> Step:
    """The centroid update.

    Raw soft-DTW: with the path shares E fixed, sum_x s(x, c) is bounded above by a quadratic in c that touches it here;
    its minimum c_j = S_j / W_j can only lower the sum (majorise-minimise; no step size).
    Divergence: - s(c, c) / 2 is not bounded that way. Its gradient joins the same step, c - damping * gradient / (2 W),
    and the caller keeps a proposal only where the objective did fall, else halves the damping.

    Args:
        statistics: taken at `centroids` [K, T, D]. damping: [K] in (0, 1], used by the divergence alone.
    """
    used = statistics.weight > 0
    visits = np.where(used[:, None], statistics.visits, 1)[..., None]
    if metric == "soft_dtw":
        proposal = np.where(used[:, None, None], statistics.sums / visits, centroids)
        return Step(statistics.value, proposal)
    own = self_statistics(centroids, gamma)
    gradient = statistics.gradient(centroids) - statistics.weight[:, None, None] * own.gradient(centroids)
    proposal = np.where(used[:, None, None], centroids - damping[:, None, None] * gradient / (2 * visits), centroids)
    return Step(statistics.value - 0.5 * statistics.weight * own.value, proposal)


def soft_dtw_gradient(
    segments: Segments, reference: np.ndarray, gamma: float, *, weights: np.ndarray | None = None, threads: int = 1
) -> tuple[float, np.ndarray]:
    """sum_i w_i s(x_i, c) and its derivative with respect to the reference c.

    Args:
        segments: one series [n, D] or N of them, as `pairwise` takes. reference: [T, D]. weights: [N], ones by default.

    Returns:
        the value, and float64 [T, D]: 2 (c W - S), with S, W as in `statistics.py`. For the derivative with respect to
            one x, swap the two (soft-DTW is symmetric).

    Source:
        Cuturi & Blondel 2017, eq. 4 and algorithm 2.
    """
    if isinstance(segments, np.ndarray) and segments.ndim == 2:
        segments = [segments]
    segments, target = as_ragged(segments), as_ragged([reference])
    weights = check_weights(weights, len(segments))
    scaling = scaling_for(segments, target, gamma)
    centroids = np.asarray(target[0], np.float64)[None]
    labels = np.zeros(len(segments), np.int64)
    statistics = sum_statistics(segments.astype(scaling.dtype), labels, weights, centroids, scaling, threads)
    return float(statistics.value[0]), statistics.gradient(centroids)[0]


def barycenter(
    segments: Segments,
    gamma: float,
    *,
    length: int | None = None,
    init: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    metric: Metric = "soft_dtw",
    max_iter: int = 100,
    tol: float = 2e-7,
    polish: bool = False,
    threads: int = 1,
) -> np.ndarray:
    """The series c that (locally) minimises sum_i w_i s(x_i, c), or the same sum of divergences.

    Args:
        segments: N series [n_i, D].
        length: frames of the result; by default the median length. Ignored where `init` is given.
        init: start [T, D]; by default the mean of the segments resampled to `length`.
        weights: [N] >= 0, ones by default.
        metric: "soft_dtw" (update c = sum E x / sum E) or "divergence" (damped step); see `objective_and_step`.
        max_iter: passes over the data. tol: stop when the sum falls by less than this, relative to gamma times the
            weight plus the sum.
        polish: finish with L-BFGS.
        threads: threads to use; the result is the same for any number.

    Returns:
        float64 [T, D]. The objective never rises from pass to pass.
    """
    check_metric(metric)
    gamma = check_gamma(gamma)
    segments = as_ragged(segments)
    weights = check_weights(weights, len(segments))
    check_finite(segments)
    if init is None:
        length = int(np.median(segments.lengths)) if length is None else length
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        init = sum(w * resample(segments[i], length) for i, w in enumerate(weights)) / weights.sum()
    current = np.asarray(init, np.float64)[None]
    scaling = scaling_for(segments, as_ragged(current), gamma)
    segments = segments.astype(scaling.dtype)
    labels, damping = np.zeros(len(segments), np.int64), np.ones(1)

    def evaluate(centroids: np.ndarray) -> Statistics:
        return sum_statistics(segments, labels, weights, centroids, scaling, threads)

    step = objective_and_step(evaluate(current), current, gamma, metric, damping)
    for _ in range(max_iter):
        following = objective_and_step(evaluate(step.proposal), step.proposal, gamma, metric, damping)
        gain = float(step.objective[0] - following.objective[0])
        if gain < 0:
            if metric == "soft_dtw" or damping[0] < 1e-3:
                break  # rounding is all that is left
            damping = damping / 2
            step = Step(step.objective, current + (step.proposal - current) / 2)
            continue
        current, step = step.proposal, following
        if gain <= tol * (abs(float(step.objective[0])) + gamma * weights.sum()):
            break
    if polish:
        current = polished(current, evaluate, gamma, metric)
    return current[0]


def polished(
    centroids: np.ndarray,
    evaluate: Callable[[np.ndarray], Statistics],
    gamma: float,
    metric: Metric,
    max_iter: int = 50,
    tol: float = 2e-7,
) -> np.ndarray:
    """L-BFGS on all centroids [K, T, D] together, the members fixed; the start itself where nothing lower was found.

    It works on c sqrt(W): where the path shares E stay as they are, the objective is a round bowl in these coordinates.

    Args:
        evaluate: gives the `Statistics` at centroids.
        max_iter: iterations. tol: stop when one of them lowers the objective by less than this share of it.
    """
    from scipy.optimize import minimize

    def objective(at: np.ndarray, statistics: Statistics) -> tuple[float, np.ndarray]:
        value, gradient = statistics.value.sum(), statistics.gradient(at)
        if metric == "divergence":
            own = self_statistics(at, gamma)
            value = value - 0.5 * (statistics.weight * own.value).sum()
            gradient = gradient - statistics.weight[:, None, None] * own.gradient(at)
        return float(value), gradient

    first = evaluate(centroids)
    stretch = np.sqrt(np.where(first.visits > 0, first.visits, 1))[..., None]

    def stretched(flat: np.ndarray) -> tuple[float, np.ndarray]:
        at = flat.reshape(centroids.shape) / stretch
        value, gradient = objective(at, evaluate(at))
        return value, (gradient / stretch).ravel()

    options = {"maxiter": max_iter, "ftol": tol}
    result = minimize(stretched, (centroids * stretch).ravel(), jac=True, method="L-BFGS-B", options=options)
    lower = result.fun < objective(centroids, first)[0]
    return result.x.reshape(centroids.shape) / stretch if lower else centroids
