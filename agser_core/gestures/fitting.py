"""From the segments tables to gestures: which segments a model is fitted on, and what every segment gets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from agser_core.errors import AgserError
from agser_core.experiment import ClusterSettings, SplitSettings
from agser_core.extracted import ExtractedCorpus
from agser_core.gestures.elbow import Elbow, choose_k
from agser_core.gestures.initialisation import GAMMA_FRAMES, median_gamma
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.ragged import Ragged
from agser_core.tables import GESTURES

FITTED = ("train", "all")  # partitions that a model is fitted on; "all" where there is no split
LIP_COORDINATES = 24  # x and y of the twelve outer lip points


def mouth_segments(
    corpora: Sequence[ExtractedCorpus], split: SplitSettings | None, fold: int
) -> tuple[pd.DataFrame, Ragged]:
    """The segments with a valid mouth of all corpora, with their partition in this fold ("all" without a split).

    Returns a frame (clip_id, corpus, speaker, position, partition) and the movements [n_frames, 24] in the same order.
    Raises AgserError where no corpus has any, ConfigError where a corpus has too few speakers to be split.
    """
    keys, values, lengths = [], [], []
    for corpus in corpora:
        table = corpus.segments.select(["clip_id", "corpus", "position", "n_frames", "mouth"])
        if split is None:
            partition = pd.Series("all", index=corpus.clips["clip_id"])
        else:
            partition = corpus.partition(split, fold)
        frame = table.drop_columns("mouth").to_pandas()
        chosen = (frame["n_frames"].to_numpy() > 0) & frame["clip_id"].isin(partition.index).to_numpy()
        mouth = table["mouth"].filter(pa.array(chosen)).combine_chunks()
        speakers = corpus.clips.set_index("clip_id")["speaker"]
        frame = frame[chosen]
        frame = frame.assign(
            partition=partition.loc[frame["clip_id"]].to_numpy(), speaker=speakers.loc[frame["clip_id"]].to_numpy()
        )
        keys.append(frame[["clip_id", "corpus", "speaker", "position", "partition"]])
        lengths.append(frame["n_frames"].to_numpy(np.int64))
        values.append(mouth.flatten().to_numpy(zero_copy_only=False).reshape(-1, LIP_COORDINATES))
    if not sum(map(len, keys)):
        raise AgserError(
            f"no mouth was tracked in {', '.join(corpus.name for corpus in corpora)}: gestures need video. Look into "
            "the errors table of the extraction, or evaluate methods that need none (none, pa)"
        )
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    return pd.concat(keys, ignore_index=True), Ragged(np.concatenate(values).astype(np.float32), offsets)


def fit_gestures(
    keys: pd.DataFrame, mouths: Ragged, settings: ClusterSettings, threads: int = 1
) -> tuple[SoftDTWKMeans, Elbow | None]:
    """Fit the gesture model on the training partition of all corpora, on everything where there is no split.

    The number of gestures is the settings' or, where that is open, the elbow's; then the curve comes along.
    """
    fitted = mouths.take(np.flatnonzero(keys["partition"].isin(FITTED)))
    parameters = {
        "gamma": settings.gamma or settings.gamma_share * _median_gamma(fitted, settings.seed),
        "metric": settings.metric,
        "n_init": settings.restarts,
        "max_iter": settings.max_iterations,
        "threads": threads,
        "random_state": settings.seed,
    }
    if settings.n_clusters is not None:
        return SoftDTWKMeans(settings.n_clusters, **parameters).fit(fitted), None
    candidates = [k for k in settings.candidates if k < len(fitted)]
    if not candidates:
        raise AgserError(f"{len(fitted)} segments are too few to choose between {settings.candidates} gestures")
    elbow = choose_k(fitted, candidates, **parameters)
    return elbow.model, elbow


def _median_gamma(segments: Ragged, seed: int) -> float:
    """The median heuristic on a sample of frames.

    The whole median smooths too much: it is the spread of the mouth over all movements, not within one, and movements
    that pass the same places in another order fall together. On the sample corpora a tenth finds the planted gestures
    with an adjusted Rand index of 0.82, the whole with 0.71 (8 clusters, aligned phones).
    """
    frames, generator = segments.frames, np.random.default_rng(seed)
    return median_gamma(frames[generator.permutation(len(frames))[:GAMMA_FRAMES]])


def assign_gestures(model: SoftDTWKMeans, keys: pd.DataFrame, mouths: Ragged, fold: int) -> pa.Table:
    """Gesture, distance and membership of every segment, train, dev and test alike (table GESTURES)."""
    distances = model.transform(mouths)
    gesture = distances.argmin(axis=1)
    columns = {
        "fold": np.full(len(keys), fold),
        **{name: keys[name].to_numpy() for name in ("clip_id", "corpus", "position", "partition")},
        "gesture": gesture,
        "distance": distances[np.arange(len(keys)), gesture],
        "membership": list(model.membership(mouths)),
    }
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in GESTURES})


def elbow_table(elbow: Elbow) -> pa.Table:
    """The curve over the number of gestures."""
    return pa.table(
        {
            "clusters": elbow.clusters,
            "inertia": elbow.inertia,
            "silhouette": elbow.silhouette,
            "chosen": [k == elbow.chosen for k in elbow.clusters],
        }
    )
