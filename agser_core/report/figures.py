"""The figures of the report, one function each: a table in, a `Figure` out. Call them under `drawing.style()`."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from agser_core.gestures.sanity import separation
from agser_core.report.drawing import FADED, HEAT, INK, OKABE_ITO, Figure, canvas_of, finish
from agser_core.report.words import method_name


def elbow(table: pd.DataFrame) -> Figure:
    """Inertia and silhouette over the number of gestures."""
    canvas, axes = canvas_of(6.4, 2.7, 1, 2)
    chosen = table[table["chosen"]]
    for axis, column, colour in zip(axes[0], ("inertia", "silhouette"), OKABE_ITO, strict=False):
        axis.plot(table["clusters"], table[column], marker="o", markersize=4, color=colour)
        axis.plot(
            chosen["clusters"], chosen[column], marker="o", markersize=11, fillstyle="none", color=INK, linestyle=""
        )
        axis.set(xlabel="gestures K", title=column)
        axis.xaxis.get_major_locator().set_params(integer=True)
    k = ", ".join(map(str, chosen["clusters"])) or "none"
    best = table.loc[table["silhouette"].idxmax(), "clusters"] if table["silhouette"].notna().any() else "unknown"
    return finish(
        canvas,
        "elbow-curve",
        f"Left: inertia, the elbow's curve (circle: chosen K = {k}). Right: silhouette, the second criterion, best at "
        f"K = {best}.",
        f"Inertia falls from {table['inertia'].iloc[0]:.3g} at K = {table['clusters'].iloc[0]} to "
        f"{table['inertia'].iloc[-1]:.3g} at K = {table['clusters'].iloc[-1]}; chosen K = {k}.",
    )


def shares(table: pd.DataFrame) -> Figure:
    """Share of each gesture in each corpus."""
    columns = [name for name in table if name.startswith("share_")]
    canvas, axes = canvas_of(max(5.0, 0.55 * len(table) + 2), 2.6)
    axis, width = axes[0, 0], 0.8 / len(columns)
    for number, column in enumerate(columns):
        place = table["gesture"] + (number - (len(columns) - 1) / 2) * width
        axis.bar(place, 100 * table[column], width, color=OKABE_ITO[number], label=column.removeprefix("share_"))
    labels = [
        f"G{row.gesture}" + ("" if getattr(row, "common", True) else "\nnot\ncommon") for row in table.itertuples()
    ]
    axis.set_xticks(table["gesture"], labels)
    axis.set_ylabel("% of the corpus")
    axis.legend(ncols=len(columns), loc="upper right")
    axis.margins(y=0.2)
    highest = "; ".join(
        f"{name.removeprefix('share_')} most in G{table.loc[table[name].idxmax(), 'gesture']}" for name in columns
    )
    return finish(
        canvas, "gesture-shares", "How often each corpus uses each gesture.", f"Bars of gesture shares: {highest}."
    )


def heat_map(
    name: str,
    values: pd.DataFrame,
    caption: str,
    description: str,
    *,
    low: float = 0,
    high: float = 100,
    label: str = "%",
) -> Figure:
    """A table as a heat map with its numbers; the index names the rows, NaN stays blank."""
    numbers = values.to_numpy(dtype=float)
    canvas, axes = canvas_of(1.7 + 0.55 * numbers.shape[1], 0.9 + 0.36 * numbers.shape[0])
    axis, scale = axes[0, 0], Normalize(low, high)
    axis.pcolormesh(np.ma.masked_invalid(numbers), cmap=HEAT, norm=scale, edgecolors="white", linewidth=1)
    for (row, column), value in np.ndenumerate(numbers):
        if np.isfinite(value):
            text = f"{value:.0f}" if high >= 20 else f"{value:.1f}"
            ink = "white" if scale(value) > 0.55 else "#14202b"
            axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=ink, fontsize=9)
    axis.set_xticks(np.arange(numbers.shape[1]) + 0.5, values.columns, rotation=0 if numbers.shape[1] > 6 else 20)
    axis.set_yticks(np.arange(numbers.shape[0]) + 0.5, values.index)
    axis.invert_yaxis()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(label, loc="right", fontsize=9, color=FADED)
    return finish(canvas, name, caption, description)


def overlap_by_vowel(table: pd.DataFrame, published: dict[str, float]) -> Figure:
    """Overlap of each vowel with interval, the null's range, and the published average."""
    rows = table[(table["form"] == "ratio") & (table["emotion"] == "all")].reset_index(drop=True)
    canvas, axes = canvas_of(6.4, 0.8 + 0.36 * len(rows))
    axis, place = axes[0, 0], np.arange(len(rows))
    axis.barh(
        place,
        rows["null_high"] - rows["null_low"],
        0.55,
        rows["null_low"],
        color="#9aa0a6",
        alpha=0.35,
        label="alike corpora (null)",
    )
    axis.hlines(place, rows["low"], rows["high"], color=OKABE_ITO[0])
    axis.plot(rows["value"], place, "o", color=OKABE_ITO[0], markersize=6, label="found, with its interval")
    known = rows["vowel"].map(published)
    axis.plot(
        known, place, "D", color=OKABE_ITO[1], markersize=6, fillstyle="none", label="published (CREMA-D, MSP-IMPROV)"
    )
    axis.set_yticks(place, rows["vowel"])
    axis.invert_yaxis()
    axis.set(xlim=(0, 103), xlabel="overlap, form ratio, %")
    canvas.legend(loc="outside upper center", ncols=3)
    words = ", ".join(f"{row.vowel} {row.value:.0f}" for row in rows.itertuples() if np.isfinite(row.value))
    return finish(
        canvas,
        "overlap-by-vowel",
        "Overlap by vowel. Grey: what two corpora of one population would give at these sizes. Hollow: the paper's "
        "averages, other corpora.",
        f"Overlap in per cent by vowel: {words}.",
    )


def sanity(curves: pd.DataFrame, vowel: str | None) -> Figure:
    """Lip points over normalised time: colour is the gesture, line the corpus."""
    names = {57: "57, lower middle", 48: "48, corner", 54: "54, corner"}
    points = list(dict.fromkeys(curves["point"]))
    canvas, axes = canvas_of(7.4, 4.2, 2, len(points), sharex=True)  # y counts downwards in pictures: drawn upside down
    gestures, corpora = list(dict.fromkeys(curves["gesture"])), list(dict.fromkeys(curves["corpus"]))
    for column, point in enumerate(points):
        for row, direction in enumerate("xy"):
            panel = axes[row, column]
            chosen = curves[(curves["point"] == point) & (curves["axis"] == direction)]
            for (corpus, gesture), curve in chosen.groupby(["corpus", "gesture"], sort=False):
                colour, line = OKABE_ITO[gestures.index(gesture)], ("-", "--", ":")[corpora.index(corpus) % 3]
                panel.plot(curve["time"], curve["mean"], line, color=colour, label=f"G{gesture}, {corpus}")
                ends = curve["mean"] - curve["standard_error"], curve["mean"] + curve["standard_error"]
                panel.fill_between(curve["time"], *ends, color=colour, alpha=0.2, linewidth=0)
            if row == 0:
                panel.set_title(names.get(point, str(point)))
            else:
                panel.set_xlabel("normalised time")
    reach = 0.55 * max(np.ptp(panel.dataLim.intervaly) for panel in axes.flat)
    for panel in axes.flat:  # one scale everywhere: a standing point shows as a level line, not as magnified noise
        middle = panel.dataLim.intervaly.mean()
        panel.set_ylim((middle + reach, middle - reach) if panel in axes[1] else (middle - reach, middle + reach))
    axes[0, 0].set_ylabel("x, sideways")
    axes[1, 0].set_ylabel("y, up")
    canvas.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return finish(
        canvas,
        "sanity-curves",
        f"Lip points of the vowel {vowel or ''} in two gestures (colour) and two corpora (line), mean and standard "
        "error, inter-pupil units. Curves should differ between gestures and agree between corpora"
        f"{_separated(curves)}.",
        f"Curves of lip points {', '.join(map(str, points))} for gestures {', '.join(map(str, gestures))} in "
        f"{' and '.join(corpora)}.",
    )


def _separated(curves: pd.DataFrame) -> str:
    ratio = separation(curves)
    return "" if np.isnan(ratio) else f"; here gestures differ {ratio:.1f} times as much as corpora"


def association(table: pd.DataFrame) -> Figure:
    """Normalised mutual information of gesture and acoustic cluster, against chance."""
    rows = table.dropna(subset="nmi").reset_index(drop=True) if "nmi" in table else table.iloc[:0]
    canvas, axes = canvas_of(5.6, 0.9 + 0.34 * len(rows))
    axis, place = axes[0, 0], np.arange(len(rows))
    if len(rows):
        axis.barh(place, rows["nmi_null_high"], 0.55, color="#9aa0a6", alpha=0.35, label="chance, up to its quantile")
        axis.plot(rows["nmi"], place, "o", color=OKABE_ITO[0], markersize=6, label="found")
    axis.set_yticks(place, rows["emotion"])
    axis.invert_yaxis()
    axis.set_xlabel("normalised mutual information")
    axis.set_xlim(left=0)
    axis.xaxis.get_major_locator().set_params(nbins=6)
    canvas.legend(loc="outside upper center", ncols=2)
    words = ", ".join(f"{row.emotion} {row.nmi:.3f} (chance {row.nmi_null_mean:.3f})" for row in rows.itertuples())
    return finish(
        canvas, "association-by-emotion", "Do gestures tell the sound? Information shared, against chance.", words
    )


def results(table: pd.DataFrame, published: pd.DataFrame, chance: float) -> Figure:
    """UAR of each method and direction with interval, chance, upper bound and published figure."""
    directions = [name for name in dict.fromkeys(table["direction"]) if len(set(name.split("->"))) == 2]
    methods = list(dict.fromkeys(table["method"]))
    canvas, axes = canvas_of(7.4, 0.95 + 0.3 * len(methods), 1, max(len(directions), 1), sharey=True, sharex=True)
    for axis, direction in zip(axes[0], directions, strict=False):
        _direction(axis, table, published, direction, methods, chance)
    axes[0, 0].set_yticks(np.arange(len(methods)), [method_name(name) for name in methods])
    axes[0, 0].set_ylim(len(methods) - 0.5, -0.5)
    handles = {
        label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    canvas.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
    words = "; ".join(
        f"{row.direction} {method_name(row.method)} {100 * row.uar_mean:.1f}" for row in table.itertuples()
    )
    across = table[table["direction"].isin(directions)]
    resampled = " or, where those are few, ".join(sorted(set(across["resampled"]), reverse=True)) or "speakers"
    return finish(
        canvas,
        "results-matrix",
        f"Unweighted average recall on the target corpus; bars are 95 % intervals over its {resampled}.",
        f"Unweighted average recall in per cent: {words}. Chance {chance:.0f}.",
    )


def _direction(
    axis: Axes, table: pd.DataFrame, published: pd.DataFrame, direction: str, methods: list[str], chance: float
) -> None:
    source, target = direction.split("->")
    own = table[table["direction"] == direction].set_index("method").reindex(methods)
    place = np.arange(len(methods))
    axis.axvline(chance, color=FADED, linewidth=1, linestyle=":", label="chance")
    for bound in 100 * table.loc[table["direction"] == f"{target}->{target}", "uar_mean"]:
        axis.axvline(bound, color=OKABE_ITO[2], linewidth=1.2, linestyle="--", label="upper bound")
    axis.hlines(place, 100 * own["uar_low"], 100 * own["uar_high"], color=OKABE_ITO[0])
    axis.plot(100 * own["uar_mean"], place, "o", color=OKABE_ITO[0], markersize=6, label="found")
    papers = published[published["direction"] == direction].set_index("method")["uar"].reindex(methods)
    if papers.notna().any():
        axis.plot(papers, place, "D", fillstyle="none", color=OKABE_ITO[1], markersize=6, label="published")
    axis.set_title(f"{source} → {target}")
    axis.set_xlabel("UAR, %")


def confusion(table: pd.DataFrame, direction: str, methods: list[str]) -> Figure:
    """Row-normalised confusion of some methods in one direction."""
    canvas, axes = canvas_of(0.6 + 2.5 * len(methods), 2.9, 1, len(methods), sharey=True)
    for axis, method in zip(axes[0], methods, strict=True):
        own = table[(table["direction"] == direction) & (table["method"] == method)]
        emotions = list(dict.fromkeys(own["emotion"]))
        counts = own.pivot_table(index="emotion", columns="predicted", values="clips", aggfunc="sum", fill_value=0)
        counts = counts.reindex(index=emotions, columns=emotions, fill_value=0)
        percentages = 100 * counts.div(counts.sum(axis=1).clip(lower=1), axis=0).to_numpy()
        axis.pcolormesh(percentages, cmap=HEAT, vmin=0, vmax=100, edgecolors="white", linewidth=1)
        for (row, column), value in np.ndenumerate(percentages):
            ink = "white" if value > 55 else "#14202b"
            axis.text(column + 0.5, row + 0.5, f"{value:.0f}", ha="center", va="center", color=ink, fontsize=9)
        axis.set_xticks(np.arange(len(emotions)) + 0.5, emotions, rotation=35, ha="right", rotation_mode="anchor")
        axis.set_yticks(np.arange(len(emotions)) + 0.5, emotions)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set(title=method_name(method), xlabel="decided")
    axes[0, 0].invert_yaxis()
    axes[0, 0].set_ylabel("true")
    name = f"confusion-{re.sub(r'[^A-Za-z0-9]+', '-', direction)}"
    source, target = direction.split("->")
    caption = f"Confusion, {source} → {target}, per cent of the true emotion, all seeds."
    return finish(canvas, name, caption, f"{caption} Methods: {', '.join(method_name(name) for name in methods)}.")


def styles(nodes: pd.DataFrame, edges: pd.DataFrame) -> Figure:
    """The graph of speakers of each emotion: colour = community, marker = corpus."""
    emotions, corpora = list(dict.fromkeys(nodes["emotion"])), list(dict.fromkeys(nodes["corpus"]))
    rows = -(-len(emotions) // 2)
    canvas, axes = canvas_of(7.4, 2.9 * rows, rows, 2)
    for axis in axes.flat[len(emotions) :]:
        axis.set_axis_off()
    for axis, emotion in zip(axes.flat, emotions, strict=False):
        for edge in edges[edges["emotion"] == emotion].itertuples():
            ends = nodes.loc[[edge.first, edge.second]]
            axis.plot(ends["x"], ends["y"], color=FADED, linewidth=0.6, alpha=0.5, zorder=1)
        own = nodes[nodes["emotion"] == emotion]
        for (corpus, community), part in own.groupby(["corpus", "community"], sort=False):
            axis.plot(
                part["x"], part["y"], linestyle="", marker="osD^v"[corpora.index(corpus) % 5], markersize=6,
                color=OKABE_ITO[community % len(OKABE_ITO)],
            )  # fmt: skip
        first = own.iloc[0]
        axis.set_title(f"{emotion}, {own['community'].nunique()} communities, modularity {first['modularity']:.2f}")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    marks = [
        axes[0, 0].plot([], [], linestyle="", marker="osD^v"[number % 5], color=FADED)[0]
        for number in range(len(corpora))
    ]
    canvas.legend(marks, corpora, loc="outside upper center", ncols=max(len(corpora), 1))
    words = "; ".join(
        f"{emotion} {part['community'].nunique()} communities of {len(part)} speakers"
        for emotion, part in nodes.groupby("emotion", sort=False)
    )
    return finish(
        canvas,
        "speaker-styles",
        "Speakers by emotion: lines join nearest neighbours (cosine of mean phone vectors, less each corpus' mean), "
        "colours are communities, markers corpora. Places are for the eye.",
        f"Graphs of speakers: {words}.",
    )
