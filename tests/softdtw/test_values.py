"""Soft-DTW values against what can be known without the kernel: all paths, closed forms, limits, another library."""

import functools
import math

import numpy as np
import pytest

from agser_core.softdtw import pairwise, soft_dtw, soft_dtw_divergence
from agser_core.softdtw.reference import soft_dtw_reference

GAMMAS = [1e-3, 1e-2, 0.1, 1.0, 10.0]


def series(*lengths, dimension=3, seed=0, spread=0.3):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, spread, (n, dimension)) for n in lengths]


def monotone_paths(n, m):
    """All paths from (0, 0) to (n - 1, m - 1) by steps down, right and diagonal."""

    def go(i, j):
        if (i, j) == (n - 1, m - 1):
            yield [(i, j)]
        for a, b in ((i + 1, j), (i, j + 1), (i + 1, j + 1)):
            if a < n and b < m:
                for rest in go(a, b):
                    yield [(i, j), *rest]

    return list(go(0, 0))


def hard_dtw(x, y):
    n, m = len(x), len(y)
    r = np.full((n + 1, m + 1), np.inf)
    r[0, 0] = 0
    for i in range(n):
        for j in range(m):
            r[i + 1, j + 1] = ((x[i] - y[j]) ** 2).sum() + min(r[i, j], r[i, j + 1], r[i + 1, j])
    return r[n, m]


@functools.cache
def delannoy(a, b):
    return 1 if a == 0 or b == 0 else delannoy(a - 1, b) + delannoy(a, b - 1) + delannoy(a - 1, b - 1)


@pytest.mark.parametrize("n", range(1, 6))
@pytest.mark.parametrize("m", range(1, 6))
def test_sum_over_all_paths(n, m):
    x, y = series(n, m, spread=1.0, seed=10 * n + m)
    costs = [sum(((x[i] - y[j]) ** 2).sum() for i, j in path) for path in monotone_paths(n, m)]
    assert len(costs) == delannoy(n - 1, m - 1)
    for gamma in (0.05, 1.0, 20.0):
        least = min(costs)
        expected = least - gamma * math.log(sum(math.exp((least - cost) / gamma) for cost in costs))
        assert soft_dtw(x, y, gamma) == pytest.approx(expected, rel=1e-12, abs=1e-12 * gamma)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_series_count_paths(dtype):
    for n, m in [(1, 1), (1, 9), (2, 2), (7, 4), (40, 40), (60, 13)]:
        x, y = np.full((n, 2), 0.7, dtype), np.full((m, 2), 0.7, dtype)
        expected = -2.5 * math.log(delannoy(n - 1, m - 1))
        assert soft_dtw(x, y, 2.5) == pytest.approx(expected, rel=1e-6 if dtype == np.float32 else 1e-13)


def test_gamma_to_zero_is_hard_dtw():
    segments = series(1, 2, 9, 17, 30, spread=1.0)
    expected = np.array([[hard_dtw(x, y) for y in segments] for x in segments])
    for gamma, error in [(1e-2, 2.0), (1e-4, 2e-2), (1e-7, 2e-5)]:
        values = pairwise(segments, segments, gamma, metric="soft_dtw")
        assert (values <= expected + 1e-9).all()  # the soft minimum is below the hard one
        assert np.abs(values - expected).max() < error


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("dimension", [1, 2, 5, 24, 27])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_error_against_the_recursion(gamma, dimension, dtype, tolerance):
    rng = np.random.default_rng(dimension)
    lengths = rng.integers(1, 41, 90)
    segments = [x.astype(dtype) for x in series(*lengths, dimension=dimension, spread=1.2 / dimension**0.5)]
    references = [
        x.astype(dtype) for x in series(1, 3, 12, 12, 13, 14, 40, dimension=dimension, spread=1.2 / dimension**0.5)
    ]
    values = pairwise(segments, references, gamma, metric="soft_dtw")
    expected = np.array([[soft_dtw_reference(x, y, gamma) for y in references] for x in segments])
    # a value can cross zero, so the error is measured against gamma times the steps of a path where that is larger
    steps = np.array([[len(x) + len(y) for y in references] for x in segments])
    assert (np.abs(values - expected) / np.maximum(np.abs(expected), gamma * steps)).max() <= tolerance


def test_agrees_with_tslearn():
    from tslearn.metrics import cdist_soft_dtw
    from tslearn.utils import to_time_series_dataset

    segments, references = series(3, 5, 8, 12, 20, dimension=4, spread=1.0), series(6, 6, dimension=4, seed=1)
    for gamma in (0.01, 1.0, 10.0):
        expected = cdist_soft_dtw(to_time_series_dataset(segments), to_time_series_dataset(references), gamma=gamma)
        assert pairwise(segments, references, gamma, metric="soft_dtw") == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("gamma", [1e-3, 0.1, 1.0, 50.0])
def test_divergence_is_zero_for_equals_alone(gamma):
    segments = series(1, 4, 4, 9, 25, dimension=2, spread=1.0)
    values = pairwise(segments, segments, gamma)
    assert (values >= 0).all()
    assert np.diag(values).max() < 1e-10 * max(gamma, 1)
    assert values[~np.eye(len(segments), dtype=bool)].min() > 1e-3
    assert values == pytest.approx(values.T, rel=1e-9, abs=1e-9)
    x, y = segments[2], segments[3]
    parts = [soft_dtw_reference(a, b, gamma) for a, b in ((x, y), (x, x), (y, y))]
    assert soft_dtw_divergence(x, y, gamma) == pytest.approx(parts[0] - parts[1] / 2 - parts[2] / 2, rel=1e-9)


def test_large_offsets_keep_float32_accurate():
    segments = [x.astype(np.float32) for x in series(5, 9, 14)]
    moved = [x + np.float32(64) for x in segments]  # 64 + x rounds to 4e-6
    assert pairwise(moved, moved, 0.1) == pytest.approx(pairwise(segments, segments, 0.1), abs=2e-3)


def test_tiny_gamma_falls_back_to_wide_exponents():
    x, y = (100 * s for s in series(30, 40))
    expected = hard_dtw(x.astype(np.float32), y.astype(np.float32))
    assert soft_dtw(x.astype(np.float32), y.astype(np.float32), 1e-5) == pytest.approx(expected, rel=1e-6)


def test_long_series():
    x, y = series(1500, 2100, dimension=1, spread=1.0)
    assert soft_dtw(x, y, 0.5) == pytest.approx(soft_dtw_reference(x, y, 0.5), rel=1e-11)


def test_extreme_lengths():
    x, y, z = series(1, 1, 3)
    assert soft_dtw(x, y, 1.0) == pytest.approx(((x - y) ** 2).sum(), rel=1e-12)
    assert soft_dtw(x, z, 1.0) == pytest.approx(((x - z) ** 2).sum(), rel=1e-12)  # a single path
