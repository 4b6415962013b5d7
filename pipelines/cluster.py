"""Cluster: mouth movements of both corpora to gestures, one model a fold."""

import contextlib
import os
import time
from collections.abc import Iterator

import numpy as np

from agser_core.chain import cluster_output
from agser_core.experiment import Experiment, RaySettings
from agser_core.extracted import extracted_corpora
from agser_core.gestures.fit_log import FitLog
from agser_core.gestures.fitting import assign_gestures, elbow_table, fit_gestures
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.gestures.lloyd import Shards
from agser_core.gestures.segments import FITTED, SegmentSource, mouth_source
from agser_core.outputs import StageOutput
from agser_core.softdtw.shard import Shard
from agser_core.storage import Location
from agser_core.tables import write_parquet
from pipelines.stage import say, stage_command

MANY = 1_000_000  # segments, a gigabyte of movements: from here on more than one machine is worth the start of actors
PART = 250_000  # segments of one file of the table gestures


def run(experiment: Experiment) -> None:
    """Cluster mouth movements into gestures with soft-DTW k-means.

    Fits on the training speakers of all corpora, then assigns every segment. Writes the table gestures, the elbow curve
    where the number of gestures was open, and one model file a fold. A fit that broke off goes on from its last pass.
    """
    output, corpora = cluster_output(experiment), list(extracted_corpora(experiment).values())
    if output.is_complete():
        say(f"cluster: done before, nothing to do ({output.folder.uri})")
        return
    if not any(corpus.has_mouths for corpus in corpora):
        say("cluster: no corpus has a tracked mouth, so there are no gestures; methods that need none can be evaluated")
        return
    chosen, fitted_speakers, written, logs = experiment.cluster.n_clusters, [], {}, []
    for fold in range(experiment.split.folds):
        started = time.monotonic()
        source = mouth_source(corpora, None if experiment.cluster.transductive else experiment.split, fold)
        fitted = source.only(FITTED)
        settings = experiment.cluster.model_copy(update={"n_clusters": chosen})
        logs.append(FitLog(output.folder.join(f"fit-{fold}.json"), report=lambda line: say(f"cluster: {line}")))
        with _loaded(fitted, experiment.ray) as (shards, actors):
            model, elbow = fit_gestures(shards, settings, logs[fold])
        if elbow is not None:
            output.write_table("elbow", elbow_table(elbow))
            chosen = elbow.chosen  # the further folds take the number that the first one chose, so that they compare
        fitted_speakers.append(sorted(frozenset().union(*fitted.speakers.values())))
        written |= _assign_all(source, model, fold, output, experiment.ray if actors else None)
        output.folder.join(f"model-{fold}.json").write_text(model.to_json())
        how = f"{model.n_iter_} iterations, {time.monotonic() - started:.1f} s"
        say(f"cluster: fold {fold}, {len(source)} segments, {chosen} gestures, gamma {model.gamma_:.4g}, {how}")
    output.adopt_table("gestures", list(written), sum(written.values()))
    output.commit(n_clusters=chosen, transductive=experiment.cluster.transductive, fitted_speakers=fitted_speakers)
    for log in logs:
        log.forget()
    say(f"cluster: {output.folder.uri}")


@contextlib.contextmanager
def _loaded(source: SegmentSource, settings: RaySettings) -> Iterator[tuple[Shards, int]]:
    """The segments in memory, and how many actors hold them: 0 where this process does."""
    if settings.cluster_workers is None and len(source) < MANY:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        yield Shards.of(Shard(source.read(0, len(source)), np.ones(len(source)), threads=cores)), 0
        return
    from pipelines.distributed_kmeans import ActorShards
    from pipelines.ray_session import cluster_cpus, ray_session

    with ray_session(settings):
        started = time.monotonic()
        shards = ActorShards(source, settings.cluster_workers or cluster_cpus())
        size = f"{len(source)} segments, {sum(shards.bytes) / 1e9:.3g} GB"
        say(f"cluster: {size}, loaded by {len(shards.actors)} workers in {time.monotonic() - started:.1f} s")
        try:
            yield shards, len(shards.actors)
        finally:
            shards.close()


def _assign_all(
    source: SegmentSource, model: SoftDTWKMeans, fold: int, output: StageOutput, cluster: RaySettings | None
) -> dict[str, int]:
    """Write the gestures of every segment, on the Ray cluster where one is given; returns the parts and their rows."""
    names = {f"fold-{fold}-{start:010d}.parquet": start for start in range(0, len(source), PART)}
    ends = {name: min(start + PART, len(source)) for name, start in names.items()}
    folder = output.folder.join("gestures")
    if cluster is None:
        for name, start in names.items():
            _assign(source, start, ends[name], model, fold, folder.join(name))
    else:
        import ray

        from pipelines.ray_session import ray_session

        with ray_session(cluster):
            far, task = ray.put(source), ray.remote(_assign)
            ray.get([task.remote(far, names[name], ends[name], model, fold, folder.join(name)) for name in names])
    return {name: ends[name] - start for name, start in names.items()}


def _assign(source: SegmentSource, start: int, stop: int, model: SoftDTWKMeans, fold: int, file: Location) -> None:
    write_parquet(assign_gestures(model, source.keys(start, stop), source.read(start, stop), fold), file)


main = stage_command("cluster", "split", "cluster")(run)

if __name__ == "__main__":
    main()
