"""How near the pipeline came to the known answer of generated corpora."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from agser_core.chain import analyse_output, cluster_output
from agser_core.corpora.sample import truth
from agser_core.experiment import Experiment
from agser_core.extracted import ExtractedCorpus
from agser_core.mouth.trajectory import opening
from agser_core.phones.interval import Phone


def truth_table(experiment: Experiment, corpora: Sequence[ExtractedCorpus]) -> pd.DataFrame:
    """quantity, value, unit, wanted, n: phone boundaries, lip opening, and the gestures of the finished stages."""
    known = {corpus.name: truth.read_truth(experiment.corpora[corpus.name].path) for corpus in corpora}
    rows = []
    for corpus in corpora:
        rows += _boundaries(corpus, known[corpus.name]) + _openings(corpus, known[corpus.name])
    clusters = cluster_output(experiment)
    if clusters.is_complete():
        found = _by_clip(_with_times(corpora, clusters.table("gestures").to_pandas()))
        planted = {clip: parts for answer in known.values() for clip, parts in truth.planted_segments(answer).items()}
        rows.append(_agreement("gestures of the model, aligned phones", truth.gesture_agreement(planted, found), ""))
        if (analysed := analyse_output(experiment)).is_complete():
            agreement = truth.gesture_agreement(planted, _by_clip(analysed.table("recut").to_pandas()))
            rows.append(_agreement("as many gestures, set phone times", agreement, ">= 0.8"))
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


def _with_times(corpora: Sequence[ExtractedCorpus], gestures: pd.DataFrame) -> pd.DataFrame:
    """Gestures of the first fold with start and end of their segments, in s."""
    place = ["clip_id", "position"]
    times = pd.concat([corpus.segments.select([*place, "start", "end"]).to_pandas() for corpus in corpora])
    return gestures[gestures["fold"] == 0].merge(times, on=place)


def _by_clip(gestures: pd.DataFrame) -> dict[str, list[tuple[float, float, int]]]:
    """Clip -> (start, end, gesture) of its segments, as `gesture_agreement` takes them."""
    found: dict[str, list[tuple[float, float, int]]] = {}
    for row in gestures.itertuples():
        found.setdefault(row.clip_id, []).append((row.start, row.end, row.gesture))
    return found


def _agreement(quantity: str, agreement: truth.GestureAgreement, wanted: str) -> dict:
    matched = f"{quantity}, adjusted Rand index ({agreement.matched:.0%} of the planted segments matched)"
    return {"quantity": matched, "value": agreement.adjusted_rand, "unit": "", "wanted": wanted, "n": agreement.n}
