"""From movements to gestures: the model of the settings, and what every segment gets of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from agser_core.errors import AgserError
from agser_core.experiment import ClusterSettings
from agser_core.gestures.elbow import Elbow, choose_k
from agser_core.gestures.fit_log import FitLog
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.gestures.lloyd import Shards
from agser_core.ragged import Ragged
from agser_core.tables import GESTURES


def fit_gestures(
    shards: Shards, settings: ClusterSettings, log: FitLog | None = None
) -> tuple[SoftDTWKMeans, Elbow | None]:
    """Fit the gesture model on the segments of all shards; the same to the last bit however they are cut.

    The number of gestures is the settings' or, where that is open, the elbow's; then the curve comes along.
    """
    parameters = {
        "gamma": settings.gamma or "median",
        "gamma_share": settings.gamma_share,
        "metric": settings.metric,
        "init": "k-means||",
        "n_init": settings.restarts,
        "max_iter": settings.max_iterations,
        "random_state": settings.seed,
    }
    count = len(shards)
    if settings.n_clusters is not None:
        if settings.n_clusters > count:
            raise AgserError(f"{count} segments are too few for {settings.n_clusters} gestures")
        return SoftDTWKMeans(settings.n_clusters, **parameters).fit(shards, log=log), None
    candidates = [k for k in settings.candidates if k < count]
    if not candidates:
        raise AgserError(f"{count} segments are too few to choose between {settings.candidates} gestures")
    elbow = choose_k(shards, candidates, log=log, **parameters)
    return elbow.model, elbow


def assign_gestures(model: SoftDTWKMeans, keys: pd.DataFrame, mouths: Ragged, fold: int) -> pa.Table:
    """Gesture, distance and membership of every segment, train, dev and test alike (table GESTURES).

    keys: clip_id, corpus, position, partition of the movements, in the same order.
    """
    distances, membership = model.transform_with_membership(mouths)
    gesture = distances.argmin(axis=1)
    columns = {
        "fold": np.full(len(keys), fold),
        **{name: keys[name].to_numpy() for name in ("clip_id", "corpus", "position", "partition")},
        "gesture": gesture,
        "distance": distances[np.arange(len(keys)), gesture],
        "membership": list(membership),
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
