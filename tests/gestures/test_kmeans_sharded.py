"""The k-means of a table in shards: the same bits for any cut, and for a run that is broken off and resumed."""

import numpy as np
import pytest
from planted_movements import planted
from sklearn.metrics import adjusted_rand_score

from agser_core.gestures import initialisation
from agser_core.gestures.initialisation import parallel_start
from agser_core.gestures.lloyd import Shards
from agser_core.gestures.sharded import ShardedSettings, fit_sharded
from agser_core.softdtw import pairwise, shard, statistics
from agser_core.softdtw.shard import Shard

BLOCK = 64
COUNT = 11 * BLOCK + 10


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for module in (statistics, shard, initialisation):
        monkeypatch.setattr(module, "BLOCK", BLOCK)


def shards_of(segments, *cuts, weights=None):
    weights = np.ones(len(segments)) if weights is None else weights
    edges = [0, *cuts, -(-len(segments) // BLOCK)]
    parts = []
    for first, last in zip(edges, edges[1:], strict=False):
        start, stop = first * BLOCK, min(last * BLOCK, len(segments))
        parts.append(Shard(segments.slice(start, stop), weights[start:stop], first, threads=1 + len(cuts) % 2))
    return parts


@pytest.mark.parametrize("metric", ["divergence", "soft_dtw"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_cut_gives_the_same_bits(metric, dtype):
    segments, labels = planted(COUNT, gestures=5, dtype=dtype)
    settings = ShardedSettings(5, metric=metric)
    whole = shards_of(segments)
    expected, gamma = fit_sharded(Shards.of(*whole), settings)
    assert adjusted_rand_score(labels, whole[0].labels) > 0.98
    for cuts in ([6], [1, 2, 7], range(1, 12)):
        parts = shards_of(segments, *cuts)
        fit, other_gamma = fit_sharded(Shards.of(*parts), settings)
        assert other_gamma == gamma
        assert fit.centroids.tolist() == expected.centroids.tolist()
        assert fit.objectives == expected.objectives
        assert np.concatenate([part.labels for part in parts]).tolist() == whole[0].labels.tolist()


@pytest.mark.parametrize("metric", ["divergence", "soft_dtw"])
def test_resumed_run_gives_the_same_bits(metric):
    segments, _ = planted(COUNT, gestures=8)
    settings, reports = ShardedSettings(6, metric=metric, tol=0, max_iter=6, gamma=5.0), []
    expected, _ = fit_sharded(Shards.of(*shards_of(segments)), settings, report=reports.append)
    assert len(reports) == 7
    for report in reports:
        again = shards_of(segments, 4)
        fit, _ = fit_sharded(Shards.of(*again), settings, resume=report)
        assert fit.centroids.tolist() == expected.centroids.tolist()
        assert fit.objectives == expected.objectives


def test_objective_is_the_inertia():
    segments, _ = planted(COUNT)
    for metric in ("divergence", "soft_dtw"):
        fit, gamma = fit_sharded(Shards.of(*shards_of(segments, 5)), ShardedSettings(4, metric=metric))
        nearest = pairwise(segments, fit.centroids, gamma, metric=metric).min(axis=1)
        assert fit.inertia == pytest.approx(nearest.sum(), rel=1e-9)
        assert (np.diff(fit.objectives) <= 1e-10 * abs(fit.objectives[0])).all()


def test_parallel_start_spreads_over_the_gestures():
    segments, labels = planted(COUNT, gestures=4)
    shards = Shards.of(*shards_of(segments, 3))
    settings = ShardedSettings(4, max_iter=0)
    fit, gamma = fit_sharded(shards, settings)
    nearest = pairwise(segments, fit.centroids, gamma).argmin(axis=1)
    assert adjusted_rand_score(labels, nearest) > 0.9
    again = parallel_start(shards, COUNT, 4, fit.centroids.shape[1], gamma, 0)
    assert again.tolist() == fit.centroids.tolist()


def test_few_distinct_segments():
    segments, _ = planted(3)
    repeated = segments.take(np.arange(200) % 3)
    fit, _ = fit_sharded(
        Shards.of(*shards_of(repeated, 2)), ShardedSettings(3, length=10, tol=0, max_iter=60, gamma=0.1)
    )
    assert len(np.unique(fit.centroids.round(6), axis=0)) == 3
    with pytest.raises(ValueError, match="n_clusters = 201 for 200 segments"):
        fit_sharded(Shards.of(*shards_of(repeated)), ShardedSettings(201))


def test_bad_segment_is_named_by_its_place_in_the_table():
    segments, _ = planted(COUNT)
    segments.frames[segments.offsets[300], 0] = np.nan
    with pytest.raises(ValueError, match="segment 300 has NaN"):
        shards_of(segments, 3)
