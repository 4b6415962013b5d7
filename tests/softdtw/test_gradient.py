"""Gradients by finite differences and against the paper's recursion; barycenters by gradient and descent."""

import numpy as np
import pytest

from agser_core.softdtw import barycenter, pairwise, resample, soft_dtw_gradient
from agser_core.softdtw import statistics as statistics_module
from agser_core.softdtw.averages import self_statistics
from agser_core.softdtw.reference import shares_reference


def series(*lengths, dimension=3, seed=0, spread=0.5):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, spread, (n, dimension)) for n in lengths]


@pytest.mark.parametrize("gamma", [0.03, 0.5, 10.0])
@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_finite_differences(gamma, length):
    segments, (reference,) = series(1, 2, 3, 6, 7, 11), series(length, seed=5)
    weights = np.array([1.0, 0.5, 2.0, 0.0, 1.0, 3.0])
    value, gradient = soft_dtw_gradient(segments, reference, gamma, weights=weights)
    assert value == pytest.approx(weights @ pairwise(segments, [reference], gamma, metric="soft_dtw")[:, 0], rel=1e-12)
    step = 1e-5
    numeric = np.zeros_like(reference)
    for index in np.ndindex(reference.shape):
        moved = np.zeros_like(reference)
        moved[index] = step
        above = soft_dtw_gradient(segments, reference + moved, gamma, weights=weights)[0]
        below = soft_dtw_gradient(segments, reference - moved, gamma, weights=weights)[0]
        numeric[index] = (above - below) / (2 * step)
    assert gradient == pytest.approx(numeric, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("gamma", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 5e-6), (np.float64, 1e-11)])
def test_error_against_the_recursion(gamma, dtype, tolerance):
    lengths = np.random.default_rng(1).integers(1, 41, 150)
    segments = [x.astype(dtype) for x in series(*lengths, dimension=24, spread=0.25)]
    reference = series(12, dimension=24, seed=2, spread=0.25)[0].astype(dtype)
    value, gradient = soft_dtw_gradient(segments, reference, gamma)
    # the paper's form of E loses digits at small gamma itself: it divides differences of path costs by gamma
    expected_value, expected = 0.0, np.zeros(reference.shape)
    for x in segments:
        one, shares = shares_reference(x, reference, gamma)
        expected_value += one
        expected += 2 * (shares.sum(axis=0)[:, None] * reference - shares.T @ x.astype(np.float64))
    assert value == pytest.approx(expected_value, rel=tolerance)
    assert np.abs(gradient - expected).max() <= tolerance * np.abs(expected).max()


def test_sums_of_many_segments_keep_their_digits():
    rng = np.random.default_rng(0)
    segments = rng.normal(0.3, 0.25, (16384, 10, 8)).astype(np.float32)
    reference = rng.normal(0, 0.25, (8, 8)).astype(np.float32)
    expected = soft_dtw_gradient(segments.astype(np.float64), reference, 1.0)[1]
    gradient = soft_dtw_gradient(segments, reference, 1.0)[1]
    assert np.abs(gradient - expected).max() <= 2.5e-7 * np.abs(expected).max()


def test_long_pairs_take_the_plain_recursion(monkeypatch):
    segments, (reference,) = series(4, 30, 50, 9), series(20, seed=3)
    value, gradient = soft_dtw_gradient(segments, reference, 0.2)
    monkeypatch.setattr(statistics_module, "LONG", 500)
    other_value, other_gradient = soft_dtw_gradient(segments, reference, 0.2)
    assert other_value == pytest.approx(value, rel=1e-12)
    assert other_gradient == pytest.approx(gradient, rel=1e-9, abs=1e-9)


def test_derivative_of_the_self_term():
    centroids = np.stack(series(5, 5))
    gradient = self_statistics(centroids, 0.3).gradient(centroids)
    step, numeric = 1e-5, np.zeros_like(centroids)
    for index in np.ndindex(centroids.shape):
        moved = np.zeros_like(centroids)
        moved[index] = step
        above, below = (self_statistics(centroids + sign * moved, 0.3).value.sum() for sign in (1, -1))
        numeric[index] = (above - below) / (2 * step) / 2
    assert gradient == pytest.approx(numeric, abs=1e-6)


@pytest.mark.parametrize("metric", ["soft_dtw", "divergence"])
@pytest.mark.parametrize("gamma", [0.01, 0.3, 5.0])
def test_barycenter_descends_to_a_stationary_point(metric, gamma):
    segments = series(3, 5, 6, 8, 13, 4)

    def objective(centre):
        return pairwise(segments, [centre], gamma, metric=metric).sum()

    curve = [
        objective(barycenter(segments, gamma, length=6, metric=metric, max_iter=k, tol=0)) for k in range(0, 40, 4)
    ]
    assert (np.diff(curve) <= 1e-9 * np.abs(curve[0])).all()
    assert curve[-1] < curve[0]
    centre = barycenter(segments, gamma, length=6, metric=metric, max_iter=300, tol=0, polish=True)
    gradient = soft_dtw_gradient(segments, centre, gamma)[1]
    if metric == "divergence":
        gradient -= len(segments) * self_statistics(centre[None], gamma).gradient(centre[None])[0]
    start = soft_dtw_gradient(segments, resample(segments[0], 6), gamma)[1]
    assert np.abs(gradient).max() < 1e-3 * np.abs(start).max()


def test_barycenter_of_copies_is_the_series_under_the_divergence():
    (x,) = series(7)
    centre = barycenter([x, x, x], 0.5, metric="divergence", max_iter=500, tol=0, polish=True)
    assert centre == pytest.approx(x, abs=1e-3)
    raw = barycenter([x, x, x], 0.5, metric="soft_dtw", max_iter=500, tol=0, polish=True)
    assert np.abs(raw - x).max() > 0.02  # raw soft-DTW shrinks towards the mean


def test_weights_count_copies():
    x, y, z = series(4, 6, 9)
    copied = barycenter([x, x, x, y, z, z], 0.2, length=6)
    weighted = barycenter([x, y, z], 0.2, weights=[3, 1, 2], length=6)
    assert weighted == pytest.approx(copied, abs=1e-9)


def test_resample():
    x = np.array([[0.0], [1.0], [4.0]])
    assert resample(x, 5)[:, 0].tolist() == [0, 0.5, 1, 2.5, 4]
    assert resample(x, 3).tolist() == x.tolist()
    assert resample(x, 1).tolist() == [[1.0]]
    assert resample(x[:1], 4).tolist() == [[0.0]] * 4
