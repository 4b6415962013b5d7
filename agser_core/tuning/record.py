"""What a study has committed: one mark a trial, written when the trial has ended, and read when a study goes on.

trials/0007.asked.json     the point, before the trial runs: a study that was killed runs it, not another one
trials/0007.predictions    Parquet, target test clips (a finished trial's; written before its mark)
trials/0007.json           how the trial ended: from then on it is never run again
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import pandas as pd

from agser_core.storage import Location
from agser_core.tables import read_parquet
from agser_core.tuning.space import Value

State = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class TrialRecord:
    """One ended trial."""

    number: int
    point: dict[str, Value]
    state: State
    curve: list[dict]  # one dict an epoch: epoch, score, dev_uar, by_direction, seconds
    fits: list[dict] = field(default_factory=list)  # of a finished trial: criteria of each fit's kept epoch
    criteria: dict[str, dict[str, float]] = field(default_factory=dict)  # direction -> criterion -> mean
    seconds: float = 0.0  # of the last try, in the worker
    tries: list[str] = field(default_factory=list)  # why earlier tries failed, and the last one of a failed trial

    @property
    def score(self) -> float:
        return self.curve[-1]["score"] if self.curve else float("nan")

    @property
    def scores(self) -> list[float]:
        """After each epoch."""
        return [entry["score"] for entry in self.curve]


class TrialStore:
    """The marks of a study below one folder, local or on S3."""

    def __init__(self, folder: Location):
        self.folder = folder.join("trials")

    def asked(self, number: int, point: Mapping[str, Value]) -> None:
        self.folder.join(f"{number:04d}.asked.json").write_text(json.dumps(dict(point)))

    def commit(self, record: TrialRecord) -> None:
        self.folder.join(f"{record.number:04d}.json").write_text(json.dumps(asdict(record)))

    def predictions_at(self, number: int) -> Location:
        return self.folder.join(f"{number:04d}.predictions")

    def read(self) -> tuple[dict[int, TrialRecord], dict[int, dict[str, Value]]]:
        """Ended trials, and the points of those that were asked for and did not end, both by number."""
        ended, waiting = {}, {}
        for file in self.folder.list():
            stem, _, kind = file.name.partition(".")
            if kind == "json":
                ended[int(stem)] = TrialRecord(**json.loads(file.read_text()))
            elif kind == "asked.json":
                waiting[int(stem)] = json.loads(file.read_text())
        return dict(sorted(ended.items())), {
            number: point for number, point in sorted(waiting.items()) if number not in ended
        }

    def predictions(self, number: int) -> pd.DataFrame:
        return read_parquet([self.predictions_at(number)]).to_pandas()


def best(records: Sequence[TrialRecord], direction: str | None = None) -> TrialRecord | None:
    """The finished trial of the greatest score, over all directions or in one; the first of equals. A score that is no
    number is none."""

    def score(record: TrialRecord) -> float:
        return record.score if direction is None else record.curve[-1]["by_direction"][direction]

    finished = [record for record in records if record.state == "finished" and math.isfinite(score(record))]
    return max(finished, key=score, default=None)


def trial_table(records: Sequence[TrialRecord], names: Sequence[str]) -> pd.DataFrame:
    """One row a trial: number, state, score, score by direction, epochs, seconds, the point, why tries failed.

    names: all searched settings; those that were not drawn in a trial are missing there. Criteria of finished trials
    are means over directions, columns `criterion_NAME`.
    """
    rows = []
    for record in records:
        row = {
            "trial": record.number,
            "state": record.state,
            "score": record.score,
            "epochs": len(record.curve),
            "seconds": record.seconds,
            "tries_failed": "; ".join(record.tries),
        }
        if record.curve:
            row |= {f"score_{name}": value for name, value in record.curve[-1]["by_direction"].items()}
        row |= {name: record.point.get(name) for name in names}
        if record.criteria:
            frame = pd.DataFrame(record.criteria)
            row |= {f"criterion_{name}": value for name, value in frame.mean(axis=1).items()}
        rows.append(row)
    return pd.DataFrame(rows)


def curve_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row a trial and epoch: trial, epoch, score, dev_uar, seconds."""
    return pd.DataFrame(
        [
            {"trial": record.number, **{key: value for key, value in entry.items() if key != "by_direction"}}
            for record in records
            for entry in record.curve
        ]
    )


def fit_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row a fit of a finished trial: direction, fold, seed, kept epoch, every criterion, warnings."""
    return pd.DataFrame(
        [
            {"trial": record.number, **entry, "warnings": "; ".join(entry["warnings"])}
            for record in records
            for entry in record.fits
        ]
    )
