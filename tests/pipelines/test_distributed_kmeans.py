"""The k-means of a table on Ray: the same bits for any number of workers and after a lost
worker."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import ray
from sklearn.metrics import adjusted_rand_score

from agser_core.gestures.fit_log import FitLog
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.gestures.segments import SegmentSource
from agser_core.softdtw.statistics import BLOCK
from agser_core.storage import Location
from pipelines.distributed_kmeans import ActorShards

COUNT = 2 * BLOCK + 5000  # three blocks, the last one short


def model(**parameters):
    return SoftDTWKMeans(5, init="k-means||", n_init=1, max_iter=4, random_state=0, **parameters)


def scanned(folder):
    """All segments below a folder; of the clips a third each train, dev and test."""
    names = [f"clip-{i}" for i in range(COUNT + 100)]
    clips = pd.DataFrame({"partition": "train", "speaker": "anna"}, index=names)
    clips.iloc[1::3] = ["dev", "ben"]
    clips.iloc[2::3] = ["test", "cleo"]
    return SegmentSource.scan(Location.parse(folder).list(), clips)


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
    """The fit in this process."""
    return model().fit(scanned(table[0]).read(0, COUNT))


def test_source_reads_any_range(table):
    source = scanned(table[0])
    assert len(source) == COUNT
    whole = source.read(0, COUNT)
    for start, stop in [(0, 1), (6_900, 7_100), (19_000, 30_000), (COUNT - 1, COUNT)]:
        part = source.read(start, stop)
        assert part.frames.tolist() == whole.slice(start, stop).take(np.arange(stop - start)).frames.tolist()
        assert source.keys(start, stop)["position"].tolist() == table[2][start:stop].tolist()


def test_source_of_some_partitions(table):
    source = scanned(table[0])
    places = source.keys(0, COUNT)["partition"].isin(["train", "test"]).to_numpy()
    some = source.only(["train", "test"])
    assert len(some) == places.sum()
    assert some.keys(0, len(some))["position"].tolist() == table[2][places].tolist()
    assert some.read(0, len(some)).frames.tolist() == source.read(0, COUNT).take(places).frames.tolist()
    assert some.speakers == {"train": {"anna"}, "test": {"cleo"}}
    both = some + source.only(["dev"])
    assert both.speakers == {"train": {"anna"}, "dev": {"ben"}, "test": {"cleo"}}


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_bits(ray_cluster, table, expected, workers):
    shards = ActorShards(scanned(table[0]), workers)
    found = model().fit(shards)
    labels = np.concatenate([labels for labels, _ in shards.call("result")])
    shards.close()
    assert len(shards.actors) == workers
    assert found.to_json() == expected.to_json()
    assert labels.tolist() == expected.labels_.tolist()
    assert adjusted_rand_score(table[1], labels) > 0.98


def test_killed_worker_is_replaced(ray_cluster, table, expected):
    shards = ActorShards(scanned(table[0]), 2)

    class Killing(FitLog):
        def passed(self, run, progress):
            if progress.iteration == 1:
                ray.kill(shards.actors[1])

    found = model().fit(shards, log=Killing())
    labels = np.concatenate([labels for labels, _ in shards.call("result")])
    shards.close()
    assert shards.replaced == 1
    assert found.to_json() == expected.to_json()
    assert labels.tolist() == expected.labels_.tolist()


def test_bad_segment_is_named_by_its_place(ray_cluster, tmp_path):
    mouths = [[0.0, 1.0]] * 10
    mouths[7] = [0.0, float("nan")]
    rows = pa.table({"clip_id": ["clip-0"] * 10, "n_frames": [1] * 10, "mouth": mouths})
    pa.parquet.write_table(rows, tmp_path / "part.parquet")
    with pytest.raises(ValueError, match="segment 7 has NaN or infinity in frame 0"):
        ActorShards(scanned(tmp_path), 1)
