"""What a clustering costs against the number of segments, of clusters, of frames and of workers, as a plot.

    python -m benchmarks.softdtw_costs docs/softdtw-costs.svg

One iteration under the divergence is one pass that assigns and one that checks the step; its CPU seconds on one thread
are measured (the least of two runs), for workers the wall seconds of start and five iterations. Prints what it draws.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import matplotlib  # noqa: E402
import numpy as np  # noqa: E402

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

from agser_core.experiment import RaySettings  # noqa: E402
from agser_core.ragged import Ragged  # noqa: E402
from agser_core.softdtw import resample  # noqa: E402
from agser_core.softdtw.shard import Shard  # noqa: E402
from benchmarks.softdtw import segments_of  # noqa: E402
from benchmarks.softdtw_ray import wall, write_table  # noqa: E402
from pipelines.distributed_kmeans import ActorShards  # noqa: E402
from pipelines.ray_session import ray_session  # noqa: E402

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
CLUSTERS = (2, 5, 10, 20, 50, 100)
FRAMES = (5, 10, 20, 40, 80, 160, 320)
TARGET = 100_000_000
SHARED = 200_000  # segments that workers share


def iteration(segments: Ragged, clusters: int, length: int) -> float:
    """CPU seconds of one iteration."""
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(segments), clusters, replace=False)
    centroids = np.stack([resample(segments[int(i)], length) for i in chosen])
    shard = Shard(segments, np.ones(len(segments)))
    magnitude, histogram = shard.describe()
    shard.prepare(1.0, "divergence", magnitude, len(histogram) - 1, centroids.mean(axis=(0, 1)))
    best = np.inf
    for _ in range(2):
        started = time.process_time()
        shard.assign(centroids)
        shard.refine(centroids)
        best = min(best, time.process_time() - started)
    return best


def many_segments(count: int) -> Ragged:
    """`count` segments, made 100,000 at a time."""
    parts = [segments_of(min(100_000, count - start), seed=start) for start in range(0, count, 100_000)]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([part.lengths for part in parts]))])
    return Ragged(np.concatenate([part.frames for part in parts]), offsets)


def of_equal_length(count: int, frames: int) -> Ragged:
    """`count` segments of `frames` frames each."""
    values = np.random.default_rng(0).normal(0, 0.3, (count * frames, 24)).astype(np.float32)
    return Ragged(values, np.arange(count + 1) * frames)


def with_workers(workers: list[int]) -> list[float]:
    """Wall seconds of a fit, start and five iterations, on so many Ray actors."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder, ray_session(RaySettings()):
        source = write_table(Path(folder), SHARED)
        for count in workers:
            shards = ActorShards(source, count)
            seconds.append(min(wall(shards)[0] for _ in range(2)))
            shards.close()
    return seconds


def main(file: str) -> None:
    by_count = [iteration(many_segments(n), 10, 12) for n in COUNTS]
    segments = segments_of(20_000)
    by_clusters = [iteration(segments, k, 12) for k in CLUSTERS]
    sizes = [max(512, 1_000_000 // frames**2) for frames in FRAMES]
    by_frames = [iteration(of_equal_length(n, m), 10, m) / n for n, m in zip(sizes, FRAMES, strict=True)]
    workers = list(range(1, len(os.sched_getaffinity(0)) + 1))
    by_workers = with_workers(workers)

    per_segment = by_count[-1] / COUNTS[-1]
    figure, panels = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
    (a, b), (c, d) = panels
    a.loglog(COUNTS, by_count, "o-", label="measured")
    a.loglog((COUNTS[-1], TARGET), (by_count[-1], per_segment * TARGET), "--", label="extrapolated")
    a.set(xlabel="segments (10 clusters)", ylabel="CPU seconds an iteration")
    a.legend()
    b.loglog(CLUSTERS, by_clusters, "o-")
    b.set(xlabel="clusters (20,000 segments)", ylabel="CPU seconds an iteration")
    c.loglog(FRAMES, np.multiply(by_frames, 1e6), "o-")
    c.set(xlabel="frames of segments and centroids (10 clusters)", ylabel="CPU microseconds a segment, an iteration")
    d.plot(workers, by_workers, "o-", label="measured")
    d.plot(workers, by_workers[0] / np.array(workers), "--", label="one worker's over their number")
    d.set(xlabel="Ray actors (200,000 segments, 10 clusters)", ylabel="wall seconds, start and 5 iterations")
    d.set(xticks=workers, ylim=(0, None))
    d.legend()
    plt.rcParams["svg.hashsalt"] = "agser"
    figure.savefig(file, metadata={"Date": None})

    for what, places, values in (
        ("segments", COUNTS, by_count),
        ("clusters", CLUSTERS, by_clusters),
        ("frames, seconds a segment", FRAMES, by_frames),
        ("workers", workers, by_workers),
    ):
        print(f"{what}: " + ", ".join(f"{at:,}: {value:.4g}" for at, value in zip(places, values, strict=True)))
    print(f"{TARGET:,} segments: {per_segment * 1e6:.3g} us x {TARGET:,} = {per_segment * TARGET:.4g} CPU seconds")


if __name__ == "__main__":
    main(sys.argv[1])
