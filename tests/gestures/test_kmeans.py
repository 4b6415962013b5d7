"""The gesture k-means: planted gestures, an objective that never rises, four segments by hand, saving, errors."""

import numpy as np
import pytest
from planted_movements import planted
from sklearn.metrics import adjusted_rand_score

from agser_core.gestures.elbow import choose_k, elbow_point
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.softdtw import pairwise


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
    model = SoftDTWKMeans(
        5, gamma=gamma, metric=metric, n_init=1, tol=0, max_iter=15, polish=polish, random_state=1
    ).fit(segments)
    steps = np.diff(model.objectives_)
    assert len(steps) > 3
    assert (steps <= 1e-10 * np.abs(model.objectives_[0])).all()
    assert model.objectives_[-1] < model.objectives_[0]
    assert model.inertia_ == pytest.approx(model.transform(segments).min(axis=1).sum(), rel=1e-9)


def test_four_segments_by_hand():
    """Segments 0, 1, 10, 11 of one frame: soft-DTW is the squared distance, k-means that of numbers."""
    segments = [np.array([[value]]) for value in (0.0, 1.0, 10.0, 11.0)]
    start = np.array([[[0.0]], [[10.0]]])
    for metric in ("divergence", "soft_dtw"):
        model = SoftDTWKMeans(2, gamma=1.0, metric=metric, init=start, max_iter=20, tol=0).fit(segments)
        assert model.labels_.tolist() == [0, 0, 1, 1]
        assert model.cluster_centers_[:, 0, 0] == pytest.approx([0.5, 10.5])
        assert model.inertia_ == pytest.approx(4 * 0.25)
        assert model.transform(segments) == pytest.approx(
            np.array([[0.25, 110.25], [0.25, 90.25], [90.25, 0.25], [110.25, 0.25]])
        )
    weighted = SoftDTWKMeans(2, gamma=1.0, init=start, tol=0).fit(segments, sample_weight=[3, 1, 1, 1])
    assert weighted.cluster_centers_[:, 0, 0] == pytest.approx([0.25, 10.5])
    assert weighted.inertia_ == pytest.approx(3 * 0.25**2 + 0.75**2 + 2 * 0.25)


def test_empty_cluster_takes_the_segment_served_worst():
    segments = [np.array([[value]]) for value in (0.0, 1.0, 2.0, 30.0)]
    start = np.array([[[1.0]], [[500.0]]])
    model = SoftDTWKMeans(2, gamma=1.0, init=start, tol=0).fit(segments)
    assert model.labels_.tolist() == [0, 0, 0, 1]
    assert model.cluster_centers_[:, 0, 0] == pytest.approx([1.0, 30.0])


def test_as_many_clusters_as_segments():
    segments = [np.array([[value]]) for value in (0.0, 1.0, 5.0)]
    model = SoftDTWKMeans(3, gamma=1.0, random_state=0).fit(segments)
    assert sorted(model.labels_) == [0, 1, 2]
    assert model.inertia_ == pytest.approx(0, abs=1e-12)
    assert np.isfinite(model.membership(segments)).all()
    with pytest.raises(ValueError, match="n_clusters = 4 for 3 segments"):
        SoftDTWKMeans(4).fit(segments)


def test_same_seed_same_bits_for_any_threads():
    segments, _ = planted(200)
    first = SoftDTWKMeans(4, random_state=3).fit(segments)
    second = SoftDTWKMeans(4, random_state=3, threads=2).fit(segments)
    assert first.cluster_centers_.tolist() == second.cluster_centers_.tolist()
    assert first.labels_.tolist() == second.labels_.tolist()


def test_gamma_median_and_length():
    rng = np.random.default_rng(0)
    segments = [rng.normal(0, 2, (n, 3)) for n in (4, 4, 7, 7, 7, 50)] * 20
    model = SoftDTWKMeans(2, random_state=0).fit(segments)
    assert model.gamma_ == pytest.approx(2 * 4 * 2.366, rel=0.2)  # median of chi-squared(3) times twice the variance
    assert model.cluster_centers_.shape == (2, 7, 3)
    share = SoftDTWKMeans(2, gamma_share=0.25, random_state=0).fit(segments)
    assert share.gamma_ == pytest.approx(model.gamma_ / 4)
    assert SoftDTWKMeans(2, length=5).fit(segments).cluster_centers_.shape == (2, 5, 3)
    with pytest.raises(ValueError, match="frames that differ"):
        SoftDTWKMeans(2).fit([np.ones((3, 1))] * 4)


def test_membership():
    segments, labels = planted(200)
    model = SoftDTWKMeans(4, random_state=0).fit(segments)
    membership = model.membership(segments)
    assert membership.sum(axis=1) == pytest.approx(1)
    assert membership.argmax(axis=1).tolist() == model.labels_.tolist()
    divergence = pairwise(segments, model.cluster_centers_, model.gamma_)
    assert model.temperature_ == pytest.approx(np.median(divergence.min(axis=1)))
    expected = np.exp(-divergence / model.temperature_)
    assert membership == pytest.approx(expected / expected.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("metric", ["divergence", "soft_dtw"])
def test_saved_model_predicts_the_same(metric):
    segments, _ = planted(60)
    model = SoftDTWKMeans(3, metric=metric, random_state=0).fit(segments)
    loaded = SoftDTWKMeans.from_json(model.to_json())
    assert loaded.transform(segments).tolist() == model.transform(segments).tolist()
    assert loaded.membership(segments).tolist() == model.membership(segments).tolist()
    assert loaded.get_params() == model.get_params()
    assert loaded.to_json() == model.to_json()
    with pytest.raises(ValueError, match="not a gesture model"):
        SoftDTWKMeans.from_json("{}")


def test_elbow_finds_the_planted_number():
    segments, _ = planted(300, gestures=5)
    elbow = choose_k(segments, range(2, 10), random_state=0)
    assert elbow.chosen == elbow.clusters[int(np.argmax(elbow.silhouette))] == 5
    assert elbow.clusters == list(range(2, 10))
    assert len(elbow.inertia) == len(elbow.silhouette) == len(elbow.models) == 8
    assert elbow.model.n_clusters == 5
    assert len({model.gamma_ for model in elbow.models}) == 1
    with pytest.raises(ValueError, match="wanted 2 to the number of segments - 1"):
        choose_k(segments, [1, 2])


def test_elbow_point_by_hand():
    assert elbow_point([2, 3, 4, 5, 6], [100, 50, 10, 9, 8]) == 4
    assert elbow_point([2, 3], [10, 1]) == 2
    assert elbow_point([2, 3, 4], [5, 5, 5]) == 2
