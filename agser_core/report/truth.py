"""How near the pipeline came to the known answer of generated corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from agser_core.chain import cluster_output
from agser_core.corpora.sample import truth
from agser_core.experiment import Experiment
from agser_core.extracted import ExtractedCorpus
from agser_core.gestures.fitting import fit_gestures
from agser_core.gestures.lloyd import Shards
from agser_core.gestures.segments import FITTED
from agser_core.mouth.trajectory import opening, trajectory
from agser_core.phones.interval import Phone
from agser_core.ragged import Ragged
from agser_core.softdtw.shard import Shard


def truth_table(experiment: Experiment, corpora: Sequence[ExtractedCorpus]) -> pd.DataFrame:
    """quantity, value, unit, wanted, n: phone boundaries, lip opening, gestures."""
    known = {corpus.name: truth.read_truth(experiment.corpora[corpus.name].path) for corpus in corpora}
    rows = []
    for corpus in corpora:
        rows += _boundaries(corpus, known[corpus.name]) + _openings(corpus, known[corpus.name])
    clusters = cluster_output(experiment)
    if clusters.is_complete():
        found = found_gestures(corpora, clusters.table("gestures").to_pandas())
        planted = {clip: parts for answer in known.values() for clip, parts in truth.planted_segments(answer).items()}
        rows.append(_agreement("gestures of the model, aligned phones", truth.gesture_agreement(planted, found), ""))
        recut = recut_gestures(experiment, corpora, known, planted)
        rows.append(_agreement("as many gestures, set phone times", truth.gesture_agreement(planted, recut), ">= 0.8"))
    return pd.DataFrame(rows)


def _boundaries(corpus: ExtractedCorpus, known: truth.Truth) -> list[dict]:
    aligned: dict[str, list[Phone]] = {}
    for row in corpus.segments.select(["clip_id", "phone", "start", "end"]).to_pylist():
        aligned.setdefault(row["clip_id"], []).append(Phone(row["phone"], row["start"], row["end"]))
    spoken = truth.set_phones(known)
    errors = truth.boundary_errors([(spoken[clip], phones) for clip, phones in aligned.items()])
    name = f"{corpus.name}: start of aligned phones against set ones"
    return [
        {"quantity": f"{name}, median", "value": errors.median, "unit": "ms", "wanted": "", "n": errors.n},
        {
            "quantity": f"{name}, 90th percentile",
            "value": errors.percentile_90,
            "unit": "ms",
            "wanted": "",
            "n": errors.n,
        },
    ]


def _openings(corpus: ExtractedCorpus, known: truth.Truth) -> list[dict]:
    tracked = {clip_id: (track.times, opening(track)) for clip_id, track in corpus.tracks().items()}
    values = list(truth.opening_correlations(known, tracked).values())
    name = f"{corpus.name}: tracked against set lip opening, correlation in a clip"
    return [
        {
            "quantity": f"{name}, median",
            "value": float(np.nanmedian(values)),
            "unit": "",
            "wanted": ">= 0.9",
            "n": len(values),
        },
        {"quantity": f"{name}, least", "value": float(np.nanmin(values)), "unit": "", "wanted": "", "n": len(values)},
    ]


def found_gestures(
    corpora: Sequence[ExtractedCorpus], gestures: pd.DataFrame
) -> dict[str, list[tuple[float, float, int]]]:
    """Clip -> (start, end, gesture) of the segments of the first fold, as `gesture_agreement` takes them."""
    place = ["clip_id", "position"]
    times = pd.concat([corpus.segments.select([*place, "start", "end"]).to_pandas() for corpus in corpora])
    joined = gestures[gestures["fold"] == 0].merge(times, on=place)
    found: dict[str, list[tuple[float, float, int]]] = {}
    for row in joined.itertuples():
        found.setdefault(row.clip_id, []).append((row.start, row.end, row.gesture))
    return found


def recut_gestures(
    experiment: Experiment,
    corpora: Sequence[ExtractedCorpus],
    known: Mapping[str, truth.Truth],
    planted: Mapping[str, Sequence[tuple[float, float, int]]],
) -> dict[str, list[tuple[float, float, int]]]:
    """Clusters of the tracked mouths cut at the set phone times: what aligning adds to the error is left out.

    One model, fitted as the cluster stage does but for the number of gestures, which is the planted one.
    """
    pieces, places, partitions = [], [], []
    for corpus in corpora:
        partition = corpus.partition(experiment.split, 0)
        for clip_id, track in corpus.tracks().items():
            movement = trajectory(track, origin=experiment.extract.mouth.origin)
            for start, end, _ in planted.get(clip_id, ()):
                piece = movement.cut(start, end)
                if piece is not None:
                    pieces.append(piece)
                    places.append((clip_id, start, end))
                    partitions.append(partition[clip_id])
    mouths, n_planted = Ragged.from_list(pieces), len({number for parts in planted.values() for *_, number in parts})
    settings = experiment.cluster.model_copy(update={"n_clusters": n_planted})
    fitted = mouths.take(np.flatnonzero(np.isin(partitions, FITTED)))
    model, _ = fit_gestures(Shards.of(Shard(fitted, np.ones(len(fitted)))), settings)
    found: dict[str, list[tuple[float, float, int]]] = {}
    for (clip_id, start, end), gesture in zip(places, model.predict(mouths), strict=True):
        found.setdefault(clip_id, []).append((start, end, int(gesture)))
    return found


def _agreement(quantity: str, agreement: truth.GestureAgreement, wanted: str) -> dict:
    matched = f"{quantity}, adjusted Rand index ({agreement.matched:.0%} of the planted segments matched)"
    return {"quantity": matched, "value": agreement.adjusted_rand, "unit": "", "wanted": wanted, "n": agreement.n}
