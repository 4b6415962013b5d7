"""The page of a study: one HTML file that needs nothing but itself, in the dress of the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from agser_core.report import words
from agser_core.report.drawing import Figure, style
from agser_core.report.tables import ReportTable
from agser_core.tuning import figures

_SHORTEST_STATES = ("finished", "stopped", "failed")


@dataclass(frozen=True)
class StudyFigures:
    """What there is to show of a study. Tables as `record`, `posthoc` and `importance` make them."""

    name: str
    objective: str
    search: str
    scheduler: str
    parameters: list[dict]  # SearchSpace.describe()
    trials: pd.DataFrame  # trial_table, with target_uar
    curves: pd.DataFrame
    fits: pd.DataFrame
    importance: pd.DataFrame
    explained: float  # R2 of the forest behind the importance
    best: pd.DataFrame
    ranking: pd.DataFrame | None  # None where too few trials finished
    finals: pd.DataFrame


def study_page(study: StudyFigures) -> str:
    """The page as HTML; the same bytes for the same study."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("agser_core.tuning"), PackageLoader("agser_core.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = _drawn(study)
    tables = {table.name: table for table in _tables(study)}
    return environment.get_template("study.html.j2").render(
        study=study,
        tiles=_tiles(study),
        tables=tables,
        figures={name: Markup(figure.svg) for name, figure in drawn.items()},
        captions={name: figure.caption for name, figure in drawn.items()},
        winner=_winner(study),
    )


def _drawn(study: StudyFigures) -> dict[str, Figure]:
    with style():
        drawn = [
            figures.parallel_coordinates(study.trials, study.parameters, study.objective),
            figures.learning_curves(study.curves, study.trials, study.objective),
            figures.progress(study.trials, study.objective),
        ]
        if len(study.importance):
            drawn.append(figures.importance(study.importance, study.explained))
        if study.ranking is not None:
            drawn.append(figures.ranking(study.ranking, study.objective))
            drawn.append(figures.score_and_target(study.trials, study.objective))
    return {figure.name: figure for figure in drawn}


def _winner(study: StudyFigures) -> int:
    finished = study.trials[study.trials["state"] == "finished"]
    return int(finished.loc[finished["score"].idxmax(), "trial"])


def _tiles(study: StudyFigures) -> list[dict]:
    states = study.trials["state"].value_counts()
    row = study.trials.set_index("trial").loc[_winner(study)]
    tiles = [{"number": words.count(len(study.trials)), "label": "trials"}]
    tiles += [{"number": words.count(states.get(state, 0)), "label": state} for state in _SHORTEST_STATES]
    tiles.append({"number": words.decimal(row["score"], 3), "label": f"best {study.objective}, trial {row.name}"})
    tiles.append({"number": words.percent(row["target_uar"]), "label": "its UAR on the target, %"})
    tiles.append({"number": words.duration(study.trials["seconds"].sum()), "label": "training time of all trials"})
    return tiles


def _tables(study: StudyFigures):
    names = [parameter["name"] for parameter in study.parameters]
    points = study.trials.set_index("trial")[names]
    rows = []
    for row in study.best.itertuples():
        rows.append(
            {
                "trial": "default" if row.trial == 0 else str(row.trial),
                "direction": row.direction,
                study.objective: words.decimal(study.trials.set_index("trial").loc[row.trial, "score"], 3),
                "target UAR %": words.percent(row.uar_mean),
                "95 % interval": words.interval(100 * row.uar_low, 100 * row.uar_high),
                "to default": words.signed_points(100 * getattr(row, "difference", np.nan)),
                "interval of the difference": words.interval(
                    100 * getattr(row, "difference_low", np.nan), 100 * getattr(row, "difference_high", np.nan)
                ),
                "seeds": str(row.seeds),
            }
        )
    numeric = frozenset(rows[0]) - {"trial", "direction"}
    yield ReportTable(
        "best",
        "The best trials on the target",
        pd.DataFrame(rows),
        "Ordered by direction. The target's labels were read after the winner stood. Intervals: bootstrap over the "
        "target's test speakers (over clips where speakers are few); differences are paired.",
        numeric=numeric,
    )
    order = study.trials.sort_values("score", ascending=False)
    yield ReportTable(
        "trials",
        "All trials",
        pd.DataFrame(
            [
                {
                    "trial": str(row["trial"]),
                    "state": row["state"],
                    study.objective: words.decimal(row["score"], 3),
                    "epochs": str(row["epochs"]),
                    "seconds": words.decimal(row["seconds"]),
                    **{name: _value(points.loc[row["trial"], name]) for name in names},
                    "failed tries": row["tries_failed"] or words.ABSENT,
                }
                for row in order.to_dict("records")
            ]
        ),
        "Settings that were not drawn in a trial are a dash.",
        numeric=frozenset({study.objective, "epochs", "seconds"}),
    )
    if study.ranking is not None:
        yield _ranking_table(study.ranking)
    if len(study.finals):
        yield ReportTable(
            "finals",
            "Final fits of the winner",
            pd.DataFrame(
                [
                    {
                        "direction": direction,
                        "seeds": str(len(part)),
                        "target UAR %": words.percent(part["test_uar"].mean()),
                        "deviation over seeds": words.percent(part["test_uar"].std()),
                        "each": ", ".join(words.percent(value) for value in part["test_uar"]),
                    }
                    for direction, part in study.finals.groupby("direction", sort=False)
                ]
            ),
            "Each is one run of agser train.",
            numeric=frozenset({"seeds", "target UAR %", "deviation over seeds"}),
        )
    yield _cost_table(study)


def _ranking_table(ranking: pd.DataFrame) -> ReportTable:
    directions = [name for name in dict.fromkeys(ranking["direction"]) if name != "mean"]
    wide = ranking.set_index(["criterion", "direction"])
    rows = []
    for criterion in dict.fromkeys(ranking["criterion"]):
        row = {"criterion": criterion, "mean": words.decimal(wide.loc[(criterion, "mean"), "correlation"], 2)}
        for direction in directions:
            found = wide.loc[(criterion, direction)]
            limits = words.interval(found["correlation_low"], found["correlation_high"], 2)
            row[direction] = f"{words.decimal(found['correlation'], 2)} ({limits})"
        row["regret, points"] = words.decimal(100 * wide.loc[(criterion, "mean"), "regret"])
        rows.append(row)
    return ReportTable(
        "ranking",
        "How well each criterion ranks the finished trials",
        pd.DataFrame(rows),
        "Spearman's correlation of the criterion with the UAR on the target over the trials, with bootstrap intervals. "
        "Regret: what the criterion's choice lies under the best trial. Known after the fact; no criterion "
        "saw a label of the target.",
        numeric=frozenset(rows[0]) - {"criterion"},
    )


def _cost_table(study: StudyFigures) -> ReportTable:
    rows = []
    for state, part in study.trials.groupby("state", sort=False):
        rows.append(
            {
                "trials": state,
                "number": str(len(part)),
                "training time": words.duration(part["seconds"].sum()),
                "mean of a trial": words.duration(part["seconds"].mean()),
                "epochs": words.decimal(part["epochs"].mean()),
            }
        )
    return ReportTable(
        "cost",
        "Cost",
        pd.DataFrame(rows),
        "Time in the workers, last try of each trial; epochs are means.",
        numeric=frozenset(rows[0]) - {"trials"},
    )


def _value(value: object) -> str:
    if words.is_absent(value):
        return words.ABSENT
    return f"{value:.3g}" if isinstance(value, float) else str(value)
