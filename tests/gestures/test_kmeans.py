"""The gesture k-means: planted gestures, an objective that never rises, four segments by hand, saving, errors."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from agser_core.gestures.elbow import choose_k, elbow_point
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.ragged import Ragged
from agser_core.softdtw import pairwise


def planted(count: int, gestures: int = 4, dimension: int = 6, seed: int = 0, dtype=np.float64) -> tuple[Ragged, np.ndarray]:
    """Noisy, time-warped copies of smooth prototype movements, 3 to 20 frames long; and which prototype each is of."""
    rng = np.random.default_rng(seed)
    knots = np.random.default_rng(99).normal(0, 1, (gestures, 5, dimension))
    labels = rng.integers(0, gestures, count)
    segments = []
    for label in labels:
        frames = int(rng.integers(3, 21))
        times = np.sort(rng.uniform(0, 4, frames)) * 0.5 + np.linspace(0, 4, frames) * 0.5
        curve = np.stack([np.interp(times, np.arange(5), knots[label, :, d]) for d in range(dimension)], axis=1)
        segments.append((curve + rng.normal(0, 0.15, curve.shape)).astype(dtype))
    return Ragged.from_list(segments), labels


@pytest.mark.parametrize("metric", ["divergence", "soft_dtw"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_planted_gestures_are_found(metric, dtype):
    segments, labels = planted(300, dtype=dtype)
    model = SoftDTWKMeans(4, metric=metric, random_state=0).fit(segments)
    assert adjusted_rand_score(labels, model.labels_) > 0.98
    assert model.labels_.tolist() == model.predict(segments).tolist()


@pytest.mark.parametrize("metric", ["divergence", "soft_dtw"])
@pytest.mark.parametrize("gamma", [0.01, "median", 20.0])
@pytest.mark.parametrize("polish", [False, True])
def test_objective_never_rises(metric, gamma, polish):
    segments, _ = planted(150, gestures=6)
    model = SoftDTWKMeans(5, gamma=gamma, metric=metric, n_init=1, tol=0, max_iter=15, polish=polish, random_state=1).fit(segments)
    steps = np.diff(model.objectives_)
    assert len(steps) > 3
    assert (steps <= 1e-10 * np.abs(model.objectives_[0])).all()
    assert model.objectives_[-1] < model.objectives_[0]
    assert model.inertia_ == pytest.approx(model.transform(segments).min(axis=1).sum(), rel=1e-9)
