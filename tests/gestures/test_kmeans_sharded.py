"""The k-means of a table in shards: the same bits for any cut, and for a run that is broken off and resumed."""

import numpy as np
import pytest
from planted_movements import planted
from sklearn.metrics import adjusted_rand_score

from agser_core.gestures import initialisation
from agser_core.gestures.elbow import choose_k
from agser_core.gestures.fit_log import FitLog
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.gestures.lloyd import Shards
from agser_core.softdtw import shard, statistics
from agser_core.softdtw.shard import Shard
from agser_core.storage import Location

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


def fitted(*cuts, segments, log=None, **parameters):
    """The model of a fit on shards, and the shards' labels."""
    parts = shards_of(segments, *cuts)
    model = SoftDTWKMeans(init="k-means||", random_state=0, **parameters).fit(Shards.of(*parts), log=log)
    return model, np.concatenate([part.labels for part in parts])


@pytest.mark.parametrize("metric", ["divergence", "soft_dtw"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_cut_gives_the_same_bits(metric, dtype):
    segments, planted_labels = planted(COUNT, gestures=5, dtype=dtype)
    parameters = {"segments": segments, "n_clusters": 5, "metric": metric, "n_init": 1}
    expected, labels = fitted(**parameters)
    assert adjusted_rand_score(planted_labels, labels) > 0.98
    assert expected.predict(segments).tolist() == labels.tolist()
    for cuts in ([6], range(1, 12)):
        other, other_labels = fitted(*cuts, **parameters)
        assert other.to_json() == expected.to_json()
        assert other_labels.tolist() == labels.tolist()


def test_shards_and_segments_are_the_same_call():
    segments, _ = planted(COUNT, gestures=5)
    whole = SoftDTWKMeans(5, init="k-means||", n_init=2, random_state=0).fit(segments)
    parts, labels = fitted(2, 9, segments=segments, n_clusters=5, n_init=2)
    assert parts.to_json() == whole.to_json()
    assert labels.tolist() == whole.labels_.tolist()
    assert not hasattr(parts, "labels_")


class Broken(Exception):
    """Stands for whatever ends a job."""


class BreakingLog(FitLog):
    """Breaks off when it has been told of so many passes."""

    def __init__(self, file, passes):
        super().__init__(file, seconds=0)
        self.left = passes

    def passed(self, run, progress):
        super().passed(run, progress)
        self.left -= 1
        if self.left == 0:
            raise Broken


@pytest.mark.parametrize("metric", ["divergence", "soft_dtw"])
@pytest.mark.parametrize("polish", [False, True])
def test_broken_off_fit_goes_on_to_the_same_bits(metric, polish, tmp_path):
    segments, _ = planted(COUNT, gestures=8)
    parameters = {"segments": segments, "n_clusters": 6, "metric": metric, "tol": 0, "max_iter": 2, "n_init": 2}
    parameters |= {"polish": polish}  # two starts of three passes
    expected, labels = fitted(**parameters)
    for passes in (1, 3, 5):
        file = Location.parse(tmp_path / f"{passes}.json")
        with pytest.raises(Broken):
            fitted(log=BreakingLog(file, passes), **parameters)
        log = BreakingLog(file, 100)
        model, other_labels = fitted(4, log=log, **parameters)
        assert model.to_json() == expected.to_json()
        assert other_labels.tolist() == labels.tolist()
        assert log.left == 100 - (6 - passes + 1)  # the pass that was known is made again, for the labels
        log.forget()
        assert not file.exists()


def test_log_reports_and_keeps_at_most_every_so_often(tmp_path):
    segments, _ = planted(COUNT)
    said, file = [], Location.parse(tmp_path / "log.json")
    fitted(segments=segments, n_clusters=4, n_init=1, log=FitLog(file, seconds=3600, report=said.append))
    assert not said and not file.exists()
    fitted(segments=segments, n_clusters=4, n_init=1, log=FitLog(file, seconds=0, report=said.append))
    assert said[0].startswith("4 clusters, start 0, iteration 0, objective ")
    assert f"{COUNT} labels moved" in said[0] and said[0].endswith(" segments/s")


def test_elbow_of_shards():
    segments, _ = planted(COUNT, gestures=5)
    parameters = {"init": "k-means||", "n_init": 1, "random_state": 0}
    whole = choose_k(segments, range(3, 8), **parameters)
    parts = choose_k(Shards.of(*shards_of(segments, 3, 4)), range(3, 8), **parameters)
    assert whole.chosen == parts.chosen == 5
    assert (whole.inertia, whole.silhouette) == (parts.inertia, parts.silhouette)


def test_objective_is_the_inertia():
    segments, _ = planted(COUNT)
    for metric in ("divergence", "soft_dtw"):
        model, _ = fitted(5, segments=segments, n_clusters=4, metric=metric, n_init=1)
        assert model.inertia_ == pytest.approx(model.transform(segments).min(axis=1).sum(), rel=1e-9)
        assert (np.diff(model.objectives_) <= 1e-10 * abs(model.objectives_[0])).all()


def test_parallel_start_spreads_over_the_gestures():
    segments, labels = planted(COUNT, gestures=4)
    model, _ = fitted(3, segments=segments, n_clusters=4, n_init=1, max_iter=0)
    assert adjusted_rand_score(labels, model.predict(segments)) > 0.9


def test_few_distinct_segments():
    segments, _ = planted(3)
    repeated = segments.take(np.arange(200) % 3)
    model, _ = fitted(2, segments=repeated, n_clusters=3, n_init=1, length=10, tol=0, max_iter=60, gamma=0.1)
    assert len(np.unique(model.cluster_centers_.round(6), axis=0)) == 3


def test_what_shards_refuse():
    segments, _ = planted(COUNT)
    shards = Shards.of(*shards_of(segments, 2))
    assert len(shards) == COUNT
    with pytest.raises(ValueError, match=f"n_clusters = {COUNT + 1} for {COUNT} segments"):
        SoftDTWKMeans(COUNT + 1, init="k-means||").fit(shards)
    with pytest.raises(ValueError, match=r'init must be over shards, "k-means\|\|" or an array'):
        SoftDTWKMeans(2).fit(shards)
    with pytest.raises(ValueError, match="shards hold the weights"):
        SoftDTWKMeans(2, init="k-means||").fit(shards, sample_weight=np.ones(COUNT))


def test_bad_segment_is_named_by_its_place_in_the_table():
    segments, _ = planted(COUNT)
    segments.frames[segments.offsets[300], 0] = np.nan
    with pytest.raises(ValueError, match="segment 300 has NaN"):
        shards_of(segments, 3)
