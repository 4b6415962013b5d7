"""The distributed k-means beside the plain call: 10^6 segments, 10 clusters, 5 iterations, one Ray actor a core."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from agser_core.gestures.lloyd import Shards
from agser_core.gestures.sharded import ShardedSettings, fit_sharded
from agser_core.softdtw.shard import Shard
from agser_core.storage import Location

SEGMENTS = 1_000_000
PART = 100_000
SETTINGS = ShardedSettings(n_clusters=10, max_iter=5, tol=0)


def write_table(folder: Path, count: int) -> None:
    """A segments table of generated movements, 100,000 segments a file."""
    from benchmarks.softdtw import segments_of

    for part, start in enumerate(range(0, count, PART)):
        size = min(PART, count - start)
        segments = segments_of(size, seed=part)
        mouths = pa.ListArray.from_arrays(
            pa.array((segments.offsets * segments.dimension).astype(np.int32)), segments.frames.ravel()
        )
        columns = {
            "clip_id": [f"clip-{start + i}" for i in range(size)],
            "corpus": ["generated"] * size,
            "position": np.zeros(size, np.int32),
            "n_frames": segments.lengths.astype(np.int32),
            "mouth": mouths,
        }
        file = folder / f"part-{part:03d}.parquet"
        pa.parquet.write_table(pa.table(columns), file, row_group_size=25_000, compression="none", use_dictionary=False)


def wall(shards: Shards) -> tuple[float, float]:
    """Wall seconds of a fit on loaded shards, and its inertia."""
    started = time.perf_counter()
    fit, _ = fit_sharded(shards, SETTINGS)
    return time.perf_counter() - started, fit.inertia


def distributed(results: dict) -> None:
    """10^6 segments on Ray actors, one a core, beside the plain call; adds its figures to results."""
    import ray

    from benchmarks.softdtw import line
    from pipelines.distributed_kmeans import ActorShards
    from pipelines.segment_source import SegmentSource

    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder), SEGMENTS)
        source = SegmentSource.scan(Location.parse(folder))
        cores = len(os.sched_getaffinity(0))
        times, inertias = {}, set()
        for actors in sorted({1, cores}):
            shards = ActorShards(source, actors)
            times["ray", actors], inertia = wall(shards)
            inertias.add(inertia)
            peak, data = max(shards.peak_memory()), max(shards.bytes)
            shards.close()
            figure = f"{peak / data:.2f} times its data of {data / 1e6:.0f} MB"
            line(
                f"k-means, 10^6 segments, {actors} actor(s)",
                times["ray", actors],
                "s",
                f"peak memory of a worker {figure}",
            )
        ray.shutdown()
        segments = source.read(0, len(source))
        for threads in sorted({1, cores}):
            shard = Shard(segments, np.ones(len(segments)), threads=threads)
            times["plain", threads], inertia = wall(Shards.of(shard))
            inertias.add(inertia)
            line(f"  plain call, {threads} thread(s)", times["plain", threads], "s")
    assert len(inertias) == 1, f"the fits differ: {inertias}"
    results["ray_wall_seconds"] = times["ray", cores]
    results["ray_overhead"] = times["ray", cores] / times["plain", cores] - 1
    results["ray_peak_over_data"] = peak / data
    results["two_actors_over_one"] = times["ray", 1] / times["ray", cores] if cores > 1 else None
    results["two_threads_over_one"] = times["plain", 1] / times["plain", cores] if cores > 1 else None
    line("actors: speed of all cores over one", results["two_actors_over_one"] or 1, "", "")
    line("threads: speed of all cores over one", results["two_threads_over_one"] or 1, "", "")
