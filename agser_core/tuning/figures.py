"""The figures of a study, one function each. Call them under `drawing.style()`.

What belongs to one trial carries the id `trial-NUMBER`, so that the page can bring it out in all figures at once.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from agser_core.report.drawing import FADED, HEAT, OKABE_ITO, Figure, canvas_of, finish

_STATE_COLOURS = {"finished": OKABE_ITO[0], "stopped": OKABE_ITO[5], "failed": OKABE_ITO[3]}


def parallel_coordinates(trials: pd.DataFrame, parameters: list[dict], objective: str) -> Figure:
    """One line a trial over all searched settings to its score; a setting that was not drawn lies below the axis."""
    canvas, axes = canvas_of(max(7.5, 1.05 * (len(parameters) + 1)), 4.2)
    axis, shown = axes[0, 0], trials[trials["score"].notna()]
    places = np.column_stack([*(_place(shown, one) for one in parameters), _unit(shown["score"])])
    order = np.argsort(shown["score"].to_numpy())
    shades = HEAT(0.15 + 0.85 * _unit(shown["score"]))
    for row in order:
        trial = shown.iloc[row]
        finished = trial["state"] == "finished"
        (line,) = axis.plot(
            places[row],
            color=shades[row],
            linewidth=1.3 if finished else 0.8,
            linestyle="-" if finished else "--",
            alpha=0.9 if finished else 0.6,
        )
        line.set_gid(f"trial-{trial['trial']}")
    for column, parameter in enumerate(parameters):
        axis.axvline(column, color=FADED, linewidth=0.6, zorder=0)
        for height, label in _ticks(parameter):
            axis.text(column + 0.04, height, label, fontsize=7.5, va="center")
    axis.axvline(len(parameters), color=FADED, linewidth=0.6, zorder=0)
    low, high = shown["score"].min(), shown["score"].max()
    for height, value in ((0, low), (1, high)):
        axis.text(len(parameters) + 0.04, height, f"{value:.3f}", fontsize=7.5, va="center")
    names = [parameter["name"].replace(".", ".\n") for parameter in parameters]
    axis.set_xticks(range(len(parameters) + 1), [*names, objective], fontsize=8.5)
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    axis.set(xlim=(-0.15, len(parameters) + 0.75), ylim=(-0.32, 1.08))
    if any(parameter["when"] for parameter in parameters):
        axis.text(-0.12, -0.2, "not drawn", fontsize=7.5, color=FADED)
    best = shown.loc[shown["score"].idxmax()]
    values = ", ".join(f"{one['name']} {best[one['name']]}" for one in parameters if pd.notna(best[one["name"]]))
    return finish(
        canvas,
        "parallel-coordinates",
        "Each line is a trial, darker for a better score; dashed lines were stopped. A setting that was not drawn "
        "lies below its axis.",
        f"Parallel coordinates of {len(shown)} trials; the best, trial {best['trial']}, has {values}.",
    )


def learning_curves(curves: pd.DataFrame, trials: pd.DataFrame, objective: str) -> Figure:
    """Score over epochs; a dot ends the curve of a stopped trial."""
    canvas, axes = canvas_of(7.5, 3.6)
    axis, states = axes[0, 0], trials.set_index("trial")["state"]
    finished = trials[trials["state"] == "finished"]
    best = finished.loc[finished["score"].idxmax(), "trial"]
    labelled = set()
    for trial, curve in curves.groupby("trial"):
        state = states[trial]
        colour = _STATE_COLOURS[state]
        winner = trial == best
        (line,) = axis.plot(
            curve["epoch"],
            curve["score"],
            color=OKABE_ITO[1] if winner else colour,
            linewidth=2.2 if winner else 0.9,
            alpha=1 if winner else 0.65,
            zorder=3 if winner else 2,
            label=f"winner, trial {trial}" if winner else None if state in labelled else state,
        )
        line.set_gid(f"trial-{trial}")
        if not winner:
            labelled.add(state)
        if state != "finished":
            axis.plot(curve["epoch"].iloc[-1], curve["score"].iloc[-1], "o", color=colour, markersize=3)
    axis.set(xlabel="epoch", ylabel=objective)
    axis.xaxis.get_major_locator().set_params(integer=True)
    canvas.legend(loc="outside upper center", ncols=4)
    stopped = int((states == "stopped").sum())
    return finish(
        canvas,
        "learning-curves",
        f"{objective} of the epoch that would be kept, mean over directions and seeds. A dot: stopped there.",
        f"Learning curves of {len(states)} trials, {stopped} of them stopped early; the winner is trial {best}.",
    )


def progress(trials: pd.DataFrame, objective: str) -> Figure:
    """Score of each trial in the order of their numbers, and the best so far."""
    canvas, axes = canvas_of(7.5, 2.8)
    axis = axes[0, 0]
    for state in _STATE_COLOURS:
        part = trials[(trials["state"] == state) & trials["score"].notna()]
        axis.plot(part["trial"], part["score"], "o", markersize=4, color=_STATE_COLOURS[state], label=state)
    finished = trials[trials["state"] == "finished"].sort_values("trial")
    axis.step(finished["trial"], finished["score"].cummax(), where="post", color=OKABE_ITO[1], label="best so far")
    axis.set(xlabel="trial", ylabel=objective)
    axis.xaxis.get_major_locator().set_params(integer=True)
    canvas.legend(loc="outside upper center", ncols=4)
    best = finished.loc[finished["score"].idxmax()]
    return finish(
        canvas,
        "progress",
        f"{objective} by trial. Trial 0 has the experiment's own settings.",
        f"The best score so far rises to {best['score']:.3f} at trial {best['trial']} of {len(trials)}.",
    )


def importance(table: pd.DataFrame, explained: float) -> Figure:
    """Permutation importance of each setting."""
    canvas, axes = canvas_of(6.4, 0.9 + 0.3 * len(table))
    axis, place = axes[0, 0], np.arange(len(table))
    axis.barh(place, table["importance"], 0.6, xerr=table["deviation"], color=OKABE_ITO[0], ecolor=FADED)
    axis.set_yticks(place, table["setting"])
    axis.invert_yaxis()
    axis.set_xlabel("fall of R² when shuffled")
    words = ", ".join(f"{row.setting} {row.importance:.2f}" for row in table.itertuples())
    trust = "" if explained > 0.2 else " It explains too little for the bars to mean much."
    return finish(
        canvas,
        "importance",
        "What a forest over the trials loses when one setting is shuffled; lines: standard deviation over folds. "
        f"The forest explains R² = {explained:.2f} of the score of unseen trials.{trust}",
        f"Importance of the settings: {words}.",
    )


def ranking(table: pd.DataFrame, objective: str) -> Figure:
    """Rank correlation of each criterion with the target UAR, by direction."""
    directions = [name for name in dict.fromkeys(table["direction"]) if name != "mean"]
    criteria = list(dict.fromkeys(table["criterion"]))
    canvas, axes = canvas_of(6.8, 1.0 + 0.32 * len(criteria))
    axis = axes[0, 0]
    for number, direction in enumerate(directions):
        part = table[table["direction"] == direction].set_index("criterion").reindex(criteria)
        place = np.arange(len(criteria)) + (number - (len(directions) - 1) / 2) * 0.2
        axis.hlines(place, part["correlation_low"], part["correlation_high"], color=OKABE_ITO[number], linewidth=1)
        axis.plot(
            part["correlation"], place, "os^D"[number % 4], color=OKABE_ITO[number], markersize=4, label=direction
        )
    axis.axvline(0, color=FADED, linewidth=0.6)
    axis.set_yticks(
        np.arange(len(criteria)), [f"{name} (searched by)" if name == objective else name for name in criteria]
    )
    axis.invert_yaxis()
    axis.set(xlabel="rank correlation with the target UAR", xlim=(-1.02, 1.02))
    canvas.legend(loc="outside upper center", ncols=2)
    means = table[table["direction"] == "mean"]
    words = ", ".join(f"{row.criterion} {row.correlation:.2f}" for row in means.itertuples())
    return finish(
        canvas,
        "ranking",
        "How well each criterion ranks the finished trials, known only after the fact; lines: 95 % intervals.",
        f"Mean rank correlations: {words}.",
    )


def score_and_target(trials: pd.DataFrame, objective: str) -> Figure:
    """The score that was searched by against the target UAR."""
    part = trials[trials["target_uar"].notna()]
    canvas, axes = canvas_of(4.6, 3.4)
    axis = axes[0, 0]
    axis.plot(part["score"], 100 * part["target_uar"], "o", markersize=4, color=OKABE_ITO[0])
    best = part.loc[part["score"].idxmax()]
    for row, colour, label in ((best, OKABE_ITO[1], "winner"), (part[part["trial"] == 0], OKABE_ITO[2], "default")):
        if len(row):
            axis.plot(row["score"], 100 * row["target_uar"], "D", markersize=7, color=colour, label=label)
    axis.set(xlabel=objective, ylabel="UAR on the target, %")
    canvas.legend(loc="outside upper center", ncols=2)
    return finish(
        canvas,
        "score-and-target",
        "Finished trials: the score searched by and the UAR on the target, means over directions.",
        f"The winner, trial {best['trial']}, has {100 * best['target_uar']:.1f} % UAR on the target; the best one has "
        f"{100 * part['target_uar'].max():.1f} %.",
    )


def _place(trials: pd.DataFrame, parameter: dict) -> np.ndarray:
    """Where each trial's value lies on its axis, 0 to 1; -0.2 where it was not drawn."""
    values = trials[parameter["name"]]
    if parameter["choices"]:
        heights = _heights(len(parameter["choices"]))
        lookup = dict(zip(map(str, parameter["choices"]), heights, strict=True))
        return np.array([lookup.get(str(value), -0.2) for value in values], dtype=float)
    numbers = values.astype(float).to_numpy()
    low, high = parameter["low"], parameter["high"]
    if parameter["log"]:
        numbers, low, high = np.log(numbers), np.log(low), np.log(high)
    return np.where(np.isnan(numbers), -0.2, np.clip((numbers - low) / (high - low), 0, 1))


def _heights(count: int) -> np.ndarray:
    return np.linspace(0, 1, count) if count > 1 else np.array([0.5])


def _ticks(parameter: dict) -> list[tuple[float, str]]:
    if parameter["choices"]:
        return list(zip(_heights(len(parameter["choices"])), map(str, parameter["choices"]), strict=True))
    return [(0.0, f"{parameter['low']:.3g}"), (1.0, f"{parameter['high']:.3g}")]


def _unit(values: pd.Series) -> np.ndarray:
    span = values.max() - values.min()
    return ((values - values.min()) / (span or 1)).to_numpy()
