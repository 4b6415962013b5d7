"""The segments of a clustering on a Ray cluster: actors hold them, centroids go out, sums come back.

A thin shell: every computation is a method of `agser_core.softdtw.shard.Shard`, every decision is made in
`agser_core.gestures`. What this module adds is Ray: actors with their part of the table in memory, and a replacement
for an actor that dies. Labels and centroids are the same to the last bit for any number of workers and after losses.
"""

from __future__ import annotations

import numpy as np
import ray
from ray.exceptions import RayActorError

from agser_core.errors import AgserError
from agser_core.gestures.lloyd import Shards
from agser_core.gestures.segments import SegmentSource
from agser_core.softdtw.shard import Shard
from agser_core.softdtw.statistics import BLOCK
from pipelines.ray_session import limit_threads
from pipelines.stage import say

REPLACEMENTS = 3  # of one actor in one step; a part that kills its actor every time is no accident


@ray.remote(scheduling_strategy="SPREAD")  # every node holds its part; Ray would fill one node first
class ShardActor:
    """A shard in a process of its own. One thread: there is an actor for every CPU."""

    def load(self, source: SegmentSource, start: int, stop: int) -> int:
        """Reads segments start..stop - 1; returns the bytes of their frames."""
        limit_threads()
        segments = source.read(start, stop)
        self.shard = Shard(segments, np.ones(stop - start), start // BLOCK)
        return segments.frames.nbytes

    def run(self, method: str, *arguments: object):
        """A method of `Shard`."""
        return getattr(self.shard, method)(*arguments)

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
        self.source = ray.put(source)
        self.ranges = [(int(a), min(int(b), len(source))) for a, b in zip(cuts, cuts[1:], strict=False)]
        self.actors = [ShardActor.remote() for _ in self.ranges]
        self.replaced = 0
        self.known: dict[str, list[tuple]] = {}
        loads = [actor.load.remote(self.source, *part) for actor, part in zip(self.actors, self.ranges, strict=True)]
        self.bytes = [self._finish(i, load, "load", (self.source, *self.ranges[i])) for i, load in enumerate(loads)]

    def _call(self, method: str, *arguments: object) -> list:
        shared = ray.put(arguments[0]) if arguments and isinstance(arguments[0], np.ndarray) else None
        sent = arguments if shared is None else (shared, *arguments[1:])
        pending = [actor.run.remote(method, *sent) for actor in self.actors]
        results = [self._finish(i, answer, "run", (method, *arguments)) for i, answer in enumerate(pending)]
        self._remember(method, arguments)
        return results

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
                say(f"cluster: worker {i} died, its segments {self.ranges[i][0]}.. are loaded again")
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
                "If it is out of memory, take more workers (ray.cluster_workers)"
            ) from error

    def close(self) -> None:
        for actor in self.actors:
            ray.kill(actor)
