"""Gesture k-means of segments tables that fill a cluster: actors hold the segments, centroids go out, sums come back.

A thin shell: every computation is a method of `agser_core.softdtw.shard.Shard`, every decision is made in
`agser_core.gestures.sharded`. What this module adds is Ray: actors with their part of the table in memory, a
replacement for an actor that dies, a checkpoint after each pass, and a line of progress. Labels and centroids are the
same to
the last bit for any number of workers, after losses and after a resumed run.
"""

from __future__ import annotations

import dataclasses
import json
import time

import click
import numpy as np
import pyarrow as pa
import ray
from ray.exceptions import RayActorError

from agser_core.errors import AgserError
from agser_core.experiment import RaySettings
from agser_core.fingerprint import code_version, fingerprint
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.gestures.lloyd import Progress, Shards
from agser_core.gestures.sharded import ShardedSettings, fit_sharded
from agser_core.softdtw.shard import Shard
from agser_core.softdtw.statistics import BLOCK
from agser_core.storage import Location
from agser_core.tables import write_parquet
from pipelines.ray_session import cluster_cpus, limit_threads, ray_session
from pipelines.segment_source import SegmentSource
from pipelines.stage import say

REPLACEMENTS = 3  # of one actor in one step; a part that kills its actor every time is no accident
SAMPLED_DIVERGENCES = 1_000_000  # at most so many go into the median that scales memberships


@ray.remote
class ShardActor:
    """A shard in a process of its own. One thread: there is an actor for every CPU."""

    def load(self, source: SegmentSource, start: int, stop: int) -> int:
        """Reads segments start..stop - 1; returns the bytes of their frames."""
        limit_threads()
        self.source, self.start, self.stop = source, start, stop
        segments = source.read(start, stop)
        self.shard = Shard(segments, np.ones(stop - start), start // BLOCK)
        return segments.frames.nbytes

    def run(self, method: str, *arguments: object):
        """A method of `Shard`."""
        return getattr(self.shard, method)(*arguments)

    def write(self, folder: str) -> str:
        """Writes gesture and distance of every segment beside its keys; returns the file's name."""
        labels, distances = self.shard.result()
        table = self.source.keys(self.start, self.stop)
        table = table.append_column("gesture", pa.array(labels))
        table = table.append_column("distance", pa.array(distances.astype(np.float32)))
        name = f"part-{self.start // BLOCK:07d}.parquet"
        write_parquet(table, Location.parse(folder).join(name))
        return name

    def peak_memory(self) -> int:
        """Largest resident size of this process so far, in bytes."""
        from agser_core.outputs import peak_memory

        return peak_memory()


class ActorShards(Shards):
    """`Shards` on Ray actors. A dead actor is replaced; the new one loads the same rows and repeats what the old one
    knew."""

    def __init__(self, source: SegmentSource, workers: int) -> None:
        super().__init__(self._call)
        blocks = -(-len(source) // BLOCK)
        cuts = np.linspace(0, blocks, min(workers, blocks) + 1).round().astype(int) * BLOCK
        self.source = source
        self.ranges = [(int(a), min(int(b), len(source))) for a, b in zip(cuts, cuts[1:], strict=False)]
        self.actors = [ShardActor.remote() for _ in self.ranges]
        self.replaced = 0
        self.known: dict[str, list[tuple]] = {}
        loads = [actor.load.remote(source, *part) for actor, part in zip(self.actors, self.ranges, strict=True)]
        self.bytes = [self._finish(i, load, "load", (source, *self.ranges[i])) for i, load in enumerate(loads)]

    def _call(self, method: str, *arguments: object) -> list:
        shared = ray.put(arguments[0]) if arguments and isinstance(arguments[0], np.ndarray) else None
        sent = arguments if shared is None else (shared, *arguments[1:])
        pending = [actor.run.remote(method, *sent) for actor in self.actors]
        results = [self._finish(i, answer, "run", (method, *arguments)) for i, answer in enumerate(pending)]
        self._remember(method, arguments)
        return results

    def write(self, folder: Location) -> list[str]:
        """Every actor writes its rows; the files' names."""
        pending = [actor.write.remote(folder.uri) for actor in self.actors]
        return [self._finish(i, answer, "write", (folder.uri,)) for i, answer in enumerate(pending)]

    def peak_memory(self) -> list[int]:
        """Largest resident size of every actor so far, in bytes."""
        return ray.get([actor.peak_memory.remote() for actor in self.actors])

    def _remember(self, method: str, arguments: tuple) -> None:
        """Keeps what a new actor must be told: the preparation, the candidates of the start, the last assignment."""
        if method in ("prepare", "assign"):
            self.known[method] = [(method, *arguments)]
        elif method == "extend":
            self.known[method] = [*(self.known.get(method, []) if arguments[1] else []), (method, *arguments)]

    def _finish(self, i: int, answer: ray.ObjectRef, name: str, arguments: tuple):
        """The answer of actor i, from a new actor if it died."""
        for _ in range(REPLACEMENTS):
            try:
                return ray.get(answer)
            except RayActorError:
                self.replaced += 1
                say(f"distributed k-means: worker {i} died, its segments {self.ranges[i][0]}.. are loaded again")
                actor = self.actors[i] = ShardActor.remote()
                actor.load.remote(self.source, *self.ranges[i])
                for step in ("prepare", "extend", "assign"):
                    for call in self.known.get(step, []):
                        actor.run.remote(*call)
                answer = getattr(actor, name).remote(*arguments)
        try:
            return ray.get(answer)
        except RayActorError as error:
            start, stop = self.ranges[i]
            raise AgserError(
                f"the worker of segments {start}..{stop - 1} died {REPLACEMENTS + 1} times in one step: {error}. "
                "If it is out of memory, take more workers"
            ) from error

    def close(self) -> None:
        for actor in self.actors:
            ray.kill(actor)


def fit_table(segments: str, output: str, settings: ShardedSettings, workers: int | None = None) -> SoftDTWKMeans:
    """Fits the segments below a folder; writes model.json and the table gestures (a label and a distance for every
    segment).

    A finished output is only read; a broken off run goes on from its last pass. Both hold for the same table and
    settings.
    """
    source = SegmentSource.scan(Location.parse(segments))
    identity = {
        "code": code_version("softdtw", "gestures", "ragged"),
        "files": source.files,
        "kept": source.kept,
        **dataclasses.asdict(settings),
    }
    folder = Location.parse(output).join(fingerprint(identity))
    if folder.join("model.json").exists():
        say(f"distributed k-means: done before, nothing to do ({folder.uri})")
        return SoftDTWKMeans.from_json(folder.join("model.json").read_text())
    checkpoint = folder.join("checkpoint.json")
    resume = _restore(checkpoint) if checkpoint.exists() else None
    if resume:
        say(f"distributed k-means: going on at iteration {resume.iteration}")
    started = time.monotonic()
    shards = ActorShards(source, workers or cluster_cpus())
    say(
        f"distributed k-means: {len(source)} segments, {sum(shards.bytes) / 1e9:.3f} GB, {len(shards.actors)} workers, "
        f"loaded in {time.monotonic() - started:.1f} s"
    )
    clock = [time.monotonic()]

    def report(progress: Progress) -> None:
        elapsed, clock[0] = time.monotonic() - clock[0], time.monotonic()
        checkpoint.write_text(
            json.dumps(
                {
                    name: value.tolist() if isinstance(value, np.ndarray) else value
                    for name, value in dataclasses.asdict(progress).items()
                }
            )
        )
        say(
            f"distributed k-means: iteration {progress.iteration}, objective {progress.objectives[-1]:.6g}, "
            f"{progress.moved} labels moved, {len(source) / elapsed:.3g} segments/s"
        )

    try:
        fit, gamma = fit_sharded(shards, settings, resume=resume, report=report)
        step = -(-len(source) // SAMPLED_DIVERGENCES)
        divergences = np.concatenate(shards.call("sample_divergences", step, fit.centroids))
        chosen = {name: getattr(settings, name) for name in ("gamma", "metric", "length", "max_iter", "tol", "passes")}
        model = SoftDTWKMeans(settings.n_clusters, **chosen, random_state=settings.seed)
        model.adopt(fit, gamma, float(np.median(divergences)))
        files = shards.write(folder.join("gestures"))
    finally:
        shards.close()
    folder.join("parts.json").write_text(json.dumps(files))
    folder.join("model.json").write_text(model.to_json())
    elapsed = time.monotonic() - started
    say(f"distributed k-means: {fit.n_iter} iterations, inertia {fit.inertia:.6g}, {elapsed:.1f} s ({folder.uri})")
    return model


def _restore(checkpoint: Location) -> Progress:
    stored = json.loads(checkpoint.read_text())
    arrays = {name: np.array(stored[name]) for name in ("centroids", "damping", "count")}
    return Progress(**{**stored, **arrays})


@click.command()
@click.option("--segments", required=True, help="folder or s3:// prefix of a segments table (Parquet)")
@click.option("--output", required=True, help="folder or s3:// prefix for the model and the labels")
@click.option("--clusters", default=10, show_default=True, help="number of gestures")
@click.option("--gamma", default="median", show_default=True, help="smoothing: a number, or median")
@click.option("--metric", default="divergence", show_default=True, type=click.Choice(["divergence", "soft_dtw"]))
@click.option("--max-iter", default=20, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--workers", type=int, default=None, help="actors; one a CPU of the cluster where not given")
@click.option("--address", default=None, help="a running Ray cluster; RAY_ADDRESS or a local one where not given")
def main(
    segments: str,
    output: str,
    clusters: int,
    gamma: str,
    metric: str,
    max_iter: int,
    seed: int,
    workers: int | None,
    address: str | None,
) -> None:
    """Cluster all segments of a table on a Ray cluster. The same command again goes on where it broke off."""
    settings = ShardedSettings(
        clusters, gamma if gamma == "median" else float(gamma), metric, max_iter=max_iter, seed=seed
    )
    with ray_session(RaySettings(address=address)):
        fit_table(segments, output, settings, workers)


if __name__ == "__main__":
    main()
