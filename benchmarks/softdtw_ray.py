"""The distributed k-means beside the plain call: 10^6 segments, 10 clusters, 5 iterations, one Ray actor a core."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.gestures.lloyd import Shards
from agser_core.gestures.segments import SegmentSource
from agser_core.ragged import Ragged
from agser_core.softdtw.shard import Shard
from agser_core.storage import Location

SEGMENTS = 1_000_000
PART = 100_000


def write_table(folder: Path, count: int) -> SegmentSource:
    """A segments table of generated movements, 100,000 segments a file, each file one clip."""
    from benchmarks.softdtw import segments_of

    for part, start in enumerate(range(0, count, PART)):
        size = min(PART, count - start)
        segments = segments_of(size, seed=part)
        mouths = pa.ListArray.from_arrays(
            pa.array((segments.offsets * segments.dimension).astype(np.int32)), segments.frames.ravel()
        )
        columns = {
            "clip_id": [f"clip-{part}"] * size,
            "corpus": ["generated"] * size,
            "position": np.arange(size, dtype=np.int32),
            "n_frames": segments.lengths.astype(np.int32),
            "mouth": mouths,
        }
        file = folder / f"part-{part:03d}.parquet"
        pa.parquet.write_table(pa.table(columns), file, row_group_size=25_000, compression="none", use_dictionary=False)
    names = [f"clip-{part}" for part in range(-(-count // PART))]
    clips = pd.DataFrame({"partition": "all", "speaker": "nobody"}, index=names)
    return SegmentSource.scan(Location.parse(folder).list(), clips)


def plain(segments: Ragged, threads: int) -> Shards:
    """The segments in this process."""
    return Shards.of(Shard(segments, np.ones(len(segments)), threads=threads))


def wall(shards: Shards) -> tuple[float, float]:
    """Wall seconds of a fit of 10 clusters, start and five iterations, on loaded shards, and its inertia."""
    model = SoftDTWKMeans(10, init="k-means||", n_init=1, max_iter=5, tol=0, random_state=0)
    started = time.perf_counter()
    model.fit(shards)
    return time.perf_counter() - started, model.inertia_


def distributed(results: dict) -> None:
    """10^6 segments on Ray actors, one a core, beside the plain call; adds its figures to results."""
    from agser_core.experiment import RaySettings
    from benchmarks.softdtw import line
    from pipelines.distributed_kmeans import ActorShards
    from pipelines.ray_session import ray_session

    with tempfile.TemporaryDirectory() as folder:
        source = write_table(Path(folder), SEGMENTS)
        segments = source.read(0, len(source))
        cores = len(os.sched_getaffinity(0))
        counts = sorted({1, cores})
        times, inertias = {}, set()
        with ray_session(RaySettings()):
            for actors in counts:
                shards = ActorShards(source, actors)
                for _ in range(2):  # the better of two, in turns with the plain call
                    for kind, held in (("ray", shards), ("plain", plain(segments, actors))):
                        seconds, inertia = wall(held)
                        inertias.add(inertia)
                        times[kind, actors] = min(times.get((kind, actors), np.inf), seconds)
                peak, data = max(shards.peak_memory()), max(shards.bytes)
                shards.close()
                figure = f"peak memory of a worker {peak / data:.2f} times its data of {data / 1e6:.0f} MB"
                line(f"k-means, 10^6 segments, {actors} actor(s)", times["ray", actors], "s", figure)
                line(f"  plain call, {actors} thread(s)", times["plain", actors], "s")
    assert len(inertias) == 1, f"the fits differ: {inertias}"
    results["ray_wall_seconds"] = times["ray", cores]
    results["ray_overhead"] = times["ray", cores] / times["plain", cores] - 1
    results["ray_peak_over_data"] = peak / data
    results["two_actors_over_one"] = times["ray", 1] / times["ray", cores] if cores > 1 else None
    results["two_threads_over_one"] = times["plain", 1] / times["plain", cores] if cores > 1 else None
    if cores > 1:
        line("actors: speed of all cores over one", results["two_actors_over_one"], "")
        line("threads: speed of all cores over one", results["two_threads_over_one"], "")
