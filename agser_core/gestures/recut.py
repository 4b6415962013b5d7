"""Gestures of generated corpora from mouths cut at the set phone times: what aligning adds to the error is left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from agser_core.corpora.sample.truth import planted_segments, read_truth
from agser_core.experiment import Experiment
from agser_core.extracted import ExtractedCorpus
from agser_core.gestures.fitting import fit_gestures
from agser_core.gestures.lloyd import Shards
from agser_core.gestures.segments import FITTED
from agser_core.mouth.trajectory import trajectory
from agser_core.ragged import Ragged
from agser_core.softdtw.shard import Shard


def recut_gestures(experiment: Experiment, corpora: Sequence[ExtractedCorpus]) -> pd.DataFrame:
    """clip_id, start, end (s), gesture of the tracked mouths in the planted segments.

    One model, fitted as the cluster stage fits that of the first fold but for the number of gestures, which is the
    planted one. Raises AgserError for a corpus without a truth.
    """
    pieces, places, partitions, planted_gestures = [], [], [], set()
    for corpus in corpora:
        planted = planted_segments(read_truth(experiment.corpora[corpus.name].path))
        planted_gestures |= {gesture for parts in planted.values() for *_, gesture in parts}
        partition = corpus.partition(experiment.split, 0)
        for clip_id, track in corpus.tracks().items():
            movement = trajectory(track, origin=experiment.extract.mouth.origin)
            for start, end, _ in planted.get(clip_id, ()):
                piece = movement.cut(start, end)
                if piece is not None:
                    pieces.append(piece)
                    places.append((clip_id, start, end))
                    partitions.append(partition[clip_id])
    mouths = Ragged.from_list(pieces)
    settings = experiment.cluster.model_copy(update={"n_clusters": len(planted_gestures)})
    fitted = mouths.take(np.flatnonzero(np.isin(partitions, FITTED)))
    model, _ = fit_gestures(Shards.of(Shard(fitted, np.ones(len(fitted)))), settings)
    return pd.DataFrame(places, columns=["clip_id", "start", "end"]).assign(gesture=model.predict(mouths))
