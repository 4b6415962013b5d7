"""The k-means of a table on Ray: the same bits for any number of workers, after a lost worker and after a broken off
run."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import ray
from sklearn.metrics import adjusted_rand_score

from agser_core.errors import AgserError
from agser_core.gestures.lloyd import Shards
from agser_core.gestures.sharded import ShardedSettings, fit_sharded
from agser_core.softdtw.shard import Shard
from agser_core.softdtw.statistics import BLOCK
from agser_core.storage import Location
from pipelines import distributed_kmeans
from pipelines.distributed_kmeans import ActorShards, fit_table
from pipelines.segment_source import SegmentSource

SETTINGS = ShardedSettings(n_clusters=5, max_iter=4)
COUNT = 2 * BLOCK + 5000  # three blocks, the last one short


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A folder of segments in two files of several row groups, some rows without a mouth; and the planted gestures."""
    folder = tmp_path_factory.mktemp("segments")
    rng = np.random.default_rng(0)
    planted = rng.integers(0, 5, COUNT)
    starts, ends = rng.normal(0, 2, (2, 5, 2))
    lengths = rng.integers(3, 8, COUNT)
    mouths = [
        np.linspace(starts[g], ends[g], n, dtype=np.float32) + rng.normal(0, 0.1, (n, 2)).astype(np.float32)
        for g, n in zip(planted, lengths, strict=True)
    ]
    keep = np.sort(rng.choice(COUNT + 100, COUNT, replace=False))
    n_frames, values = np.zeros(COUNT + 100, np.int32), [np.zeros(0, np.float32)] * (COUNT + 100)
    for place, mouth in zip(keep, mouths, strict=True):
        n_frames[place], values[place] = len(mouth), mouth.ravel()
    rows = pa.table(
        {
            "clip_id": [f"clip-{i}" for i in range(COUNT + 100)],
            "corpus": ["planted"] * (COUNT + 100),
            "position": pa.array(np.arange(COUNT + 100), pa.int32()),
            "n_frames": n_frames,
            "mouth": pa.array(values, pa.list_(pa.float32())),
        }
    )
    pa.parquet.write_table(rows.slice(0, 20_000), folder / "a.parquet", row_group_size=7_000)
    pa.parquet.write_table(rows.slice(20_000), folder / "b.parquet", row_group_size=9_000)
    return str(folder), planted, keep


@pytest.fixture(scope="module")
def expected(table):
    """The fit in this process, in one shard."""
    source = SegmentSource.scan(Location.parse(table[0]))
    shard = Shard(source.read(0, len(source)), np.ones(len(source)))
    fit, gamma = fit_sharded(Shards.of(shard), SETTINGS)
    return fit, gamma, shard.labels


def test_source_reads_any_range(table):
    source = SegmentSource.scan(Location.parse(table[0]))
    assert len(source) == COUNT
    whole = source.read(0, COUNT)
    for start, stop in [(0, 1), (6_900, 7_100), (19_000, 30_000), (COUNT - 1, COUNT)]:
        part = source.read(start, stop)
        assert part.frames.tolist() == whole.slice(start, stop).take(np.arange(stop - start)).frames.tolist()
        assert source.keys(start, stop)["position"].to_pylist() == table[2][start:stop].tolist()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_bits(ray_cluster, table, expected, workers):
    shards = ActorShards(SegmentSource.scan(Location.parse(table[0])), workers)
    fit, gamma = fit_sharded(shards, SETTINGS)
    labels = np.concatenate([labels for labels, _ in shards.call("result")])
    shards.close()
    assert len(shards.actors) == workers
    assert gamma == expected[1]
    assert fit.centroids.tolist() == expected[0].centroids.tolist()
    assert fit.objectives == expected[0].objectives
    assert labels.tolist() == expected[2].tolist()
    assert adjusted_rand_score(table[1], labels) > 0.98


def test_killed_worker_is_replaced(ray_cluster, table, expected):
    shards = ActorShards(SegmentSource.scan(Location.parse(table[0])), 2)

    def kill_once(progress):
        if progress.iteration == 1:
            ray.kill(shards.actors[1])

    fit, _ = fit_sharded(shards, SETTINGS, report=kill_once)
    labels = np.concatenate([labels for labels, _ in shards.call("result")])
    shards.close()
    assert shards.replaced == 1
    assert fit.centroids.tolist() == expected[0].centroids.tolist()
    assert labels.tolist() == expected[2].tolist()


def test_broken_off_run_goes_on_to_the_same_result(ray_cluster, table, expected, tmp_path, monkeypatch, capsys):
    def stop_at_two(line):
        if "iteration 2," in line:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(distributed_kmeans, "say", stop_at_two)
        with pytest.raises(KeyboardInterrupt):
            fit_table(table[0], str(tmp_path), SETTINGS, 2)
    model = fit_table(table[0], str(tmp_path), SETTINGS, 1)
    said = capsys.readouterr().out
    assert "going on at iteration 2" in said
    assert "labels moved" in said and "segments/s" in said
    assert model.cluster_centers_.tolist() == expected[0].centroids.tolist()
    assert model.objectives_ == expected[0].objectives

    (folder,) = tmp_path.iterdir()
    written = pa.parquet.read_table(folder / "gestures")
    assert written["gesture"].to_pylist() == expected[2].tolist()
    assert written["position"].to_pylist() == table[2].tolist()
    assert model.predict(SegmentSource.scan(Location.parse(table[0])).read(0, 50)).tolist() == expected[2][:50].tolist()

    fit_table(table[0], str(tmp_path), SETTINGS, 2)
    assert "nothing to do" in capsys.readouterr().out


def test_bad_segment_is_named_by_its_place(ray_cluster, tmp_path):
    mouths = [[0.0, 1.0]] * 10
    mouths[7] = [0.0, float("nan")]
    rows = pa.table(
        {
            "clip_id": ["c"] * 10,
            "corpus": ["x"] * 10,
            "position": list(range(10)),
            "n_frames": [1] * 10,
            "mouth": mouths,
        }
    )
    pa.parquet.write_table(rows, tmp_path / "part.parquet")
    with pytest.raises(ValueError, match="segment 7 has NaN or infinity in frame 0"):
        ActorShards(SegmentSource.scan(Location.parse(str(tmp_path))), 1)
    with pytest.raises(AgserError, match="no Parquet files"):
        SegmentSource.scan(Location.parse(str(tmp_path / "empty")))
