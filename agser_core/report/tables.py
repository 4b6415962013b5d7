"""The tables of the report as text, once, for the page, Markdown and LaTeX alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pandas as pd

from agser_core.evaluation.published import published_results
from agser_core.gestures.overlap import MINIMUM_SPEAKERS
from agser_core.report.inputs import ReportInputs
from agser_core.report.words import (
    ABSENT,
    as_text,
    count,
    decimal,
    direction_name,
    duration,
    gesture_name,
    interval,
    megabytes,
    method_name,
    p_value,
    percent,
    signed_points,
    yes_no,
)

#: Marks a column or table that holds others' figures.
PUBLISHED = "published"
#: Stands for the method of a network that was trained on the target's own labels.
UPPER_BOUND = "upper bound"
_DIRECTION = {"direction": ("direction", direction_name)}


@dataclass(frozen=True)
class ReportTable:
    """One table, ready to be set.

    Attributes:
        name: unique, fit for an anchor or a file name.
        title: above the table.
        frame: text in every cell.
        note: below the table: what the columns mean.
        published: columns with figures of the papers, to be set apart.
        numeric: columns with numbers, to be set flush right.
    """

    name: str
    title: str
    frame: pd.DataFrame
    note: str = ""
    published: frozenset[str] = frozenset()
    numeric: frozenset[str] = field(default_factory=frozenset)


def report_tables(inputs: ReportInputs) -> dict[str, ReportTable]:
    """Every table that the inputs allow, by name, in the order of the report."""
    makers: list[Callable[[ReportInputs], Iterator[ReportTable]]] = [
        _corpora,
        _quality,
        _gestures,
        _overlap,
        _association,
        _results,
        _styles,
        _provenance,
        _truth,
    ]
    return {table.name: table for make in makers for table in make(inputs)}


def _corpora(inputs: ReportInputs) -> Iterator[ReportTable]:
    if inputs.corpora is not None:
        columns = {"hours": ("hours", lambda hours: decimal(hours, 2))}
        yield _set("corpora", "Corpora", inputs.corpora, columns, "Clips that took part; excluded: clips that failed.")
    if inputs.exclusions is not None and len(inputs.exclusions):
        columns = {"error_class": ("kind", as_text)}
        yield _set("exclusions", "Clips that failed, by reason", inputs.exclusions, columns)
    if inputs.problems is not None and len(inputs.problems):
        yield _set("problems", "Files that the adapters could not use", inputs.problems, {"uri": ("file", as_text)})


def _quality(inputs: ReportInputs) -> Iterator[ReportTable]:
    if inputs.tracking is None:
        return
    columns = {
        "tracked_share": ("tracked, % of frames", lambda share: percent(share, 2)),
        "worst_clip": ("worst clip, %", percent),
        "alignment": ("phone times from (clips)", as_text),
        "vowels_with_mouth": ("vowels with a mouth", count),
        "vowel_ms": ("vowel, median ms", lambda value: decimal(value, 0)),
        "vowel_ms_5": ("5th percentile", lambda value: decimal(value, 0)),
        "vowel_ms_95": ("95th", lambda value: decimal(value, 0)),
        "frames_per_vowel": ("frames a vowel", lambda value: decimal(value, 0)),
        "confidence": ("tracking confidence", lambda value: decimal(value, 2)),
    }
    note = (
        "Frames a vowel: median, after resampling to 100 Hz. A vowel has a mouth where the face was tracked throughout."
    )
    yield _set("tracking", "Tracking and alignment", inputs.tracking, columns, note)


def _gestures(inputs: ReportInputs) -> Iterator[ReportTable]:
    if inputs.elbow is not None:
        columns = {
            "clusters": ("gestures K", count),
            "inertia": ("inertia", lambda value: f"{value:.4g}"),
            "silhouette": ("silhouette", lambda value: decimal(value, 3)),
            "chosen": ("chosen", lambda value: "chosen" if value else ""),
        }
        yield _set("elbow", "How many gestures", inputs.elbow, columns)
    if inputs.atlas is not None:
        frame = inputs.atlas.table.assign(
            phones=[_most_frequent(inputs.atlas.phones, "phone", gesture) for gesture in inputs.atlas.table["gesture"]]
        )
        if inputs.atlas.emotions is not None:
            frame["emotions"] = [_most_frequent(inputs.atlas.emotions, "emotion", g) for g in frame["gesture"]]
        shares = {name: (f"{name.removeprefix('share_')}, %", percent) for name in frame if name.startswith("share_")}
        columns = {
            "gesture": ("gesture", gesture_name),
            **shares,
            "ratio": ("ratio, %", decimal),
            "common": ("common", yes_no),
            "phones": ("most frequent phones", as_text),
        }
        note = (
            "Share of each corpus' segments in the gesture; ratio = smaller share over larger. "
            f"Common: ratio of at least {inputs.threshold:g} %."
        )
        yield _set("gestures", "Gestures", frame, columns, note)


def _most_frequent(shares: pd.DataFrame, column: str, gesture: int, n: int = 3) -> str:
    own = shares[shares["gesture"] == gesture].head(n)
    return (
        ", ".join(f"{name} {percent(share, 0)} %" for name, share in zip(own[column], own["share"], strict=True))
        or ABSENT
    )


def _overlap(inputs: ReportInputs) -> Iterator[ReportTable]:
    if inputs.overlap is not None:
        pooled = inputs.overlap[inputs.overlap["emotion"] == "all"]
        frame = pd.DataFrame(
            {
                "vowel": pooled["vowel"],
                "form": pooled["form"],
                "overlap, %": pooled["value"],
                f"{100 * inputs.level:g} % interval": [interval(row.low, row.high) for row in pooled.itertuples()],
                "alike corpora would give": pooled["null_mean"],
                f"their {100 * inputs.level:g} % range": [
                    interval(row.null_low, row.null_high) for row in pooled.itertuples()
                ],
                "p": pooled["p_value"],
                "common gestures": pooled["common_clusters"],
                "segments": [f"{row.first_segments} / {row.second_segments}" for row in pooled.itertuples()],
                "resampled": pooled["resampled"],
            }
        )
        columns = {
            "overlap, %": ("overlap, %", decimal),
            "alike corpora would give": ("alike corpora would give, %", decimal),
            "p": ("p", p_value),
        }
        note = (
            "Ratio: mean over common gestures of smaller share over larger, our default. Printed: the formula as the "
            "paper prints it, at most 100 / number of common gestures. Intersection: of the two histograms. The null "
            "shuffles corpus labels and so is a ceiling; p is the share of shuffles that overlap as little as observed."
        )
        yield _set("overlap", f"Overlap between {_and(inputs.pair)}, all emotions", frame, columns, note)
    if inputs.vowel_clusters is not None:
        entries = {name: (f"G{name}", decimal) for name in inputs.vowel_clusters if name.isdigit()}
        note = (
            "Per cent: smaller share over larger. The average leaves out entries below the threshold of "
            f"{inputs.threshold:g} %. Published: CREMA-D against MSP-IMPROV, K = 10, averages of the AG paper."
        )
        columns = {**entries, "average": ("average", decimal), "published_average": (PUBLISHED, decimal)}
        yield _set("vowel-gesture", "Overlap by vowel and gesture", inputs.vowel_clusters, columns, note)
    if inputs.vowel_emotions is not None:
        moods = {name: (name, decimal) for name in inputs.vowel_emotions if name not in ("vowel", "published_average")}
        columns = {**moods, "published_average": (f"{PUBLISHED}, all", decimal)}
        note = "Per cent, form ratio. Published: average over all emotions."
        yield _set("vowel-emotion", "Overlap by vowel and emotion", inputs.vowel_emotions, columns, note)


def _association(inputs: ReportInputs) -> Iterator[ReportTable]:
    if inputs.association is not None:
        columns = {
            "nmi": ("NMI", lambda value: decimal(value, 3)),
            "nmi_null_mean": ("NMI by chance", lambda value: decimal(value, 3)),
            "nmi_null_high": (f"chance, {100 * inputs.level:g} % quantile", lambda value: decimal(value, 3)),
            "nmi_p_value": ("p", p_value),
            "conditional_entropy": ("H(acoustic | gesture), bits", lambda value: decimal(value, 2)),
            "entropy_null_mean": ("by chance, bits", lambda value: decimal(value, 2)),
            "entropy_null_low": (f"chance, {100 * (1 - inputs.level):g} % quantile", lambda value: decimal(value, 2)),
        }
        note = "Chance: acoustic labels shuffled among the segments. NMI: normalised mutual information, 0 to 1."
        yield _set("association", "Association, per emotion", inputs.association, columns, note)
    if inputs.acoustic_clusters is not None:
        wide = inputs.acoustic_clusters.assign(
            text=[
                f"{row.acoustic_clusters} ({row.effective_clusters:.1f})"
                for row in inputs.acoustic_clusters.itertuples()
            ]
        ).pivot(index="gesture", columns="emotion", values="text")
        wide = wide.reindex(columns=list(dict.fromkeys(inputs.acoustic_clusters["emotion"]))).reset_index()
        note = "Acoustic clusters that appear; in brackets the effective number 2^H, which does not grow with the size."
        yield _set(
            "acoustic-clusters",
            "Acoustic clusters inside each gesture",
            wide,
            {"gesture": ("gesture", gesture_name)},
            note,
        )


def _results(inputs: ReportInputs) -> Iterator[ReportTable]:
    published = published_results()
    if inputs.results is not None:
        results = _across_first(inputs.results)
        whole = results[results["task"] == "all"]
        if len(whole):
            yield _four_class(inputs, whole, published)
            yield _by_class(whole)
            yield _one_vs_rest(whole, published)
        binary = results[results["task"] != "all"]
        if len(binary):
            yield _binary(binary, published)
    figures = {f"uar_{name}": (name, decimal) for name in ("neutral", "anger", "happiness", "sadness")}
    columns = {**_DIRECTION, "uar": ("four classes", decimal), **figures}
    note = (
        "UAR in per cent as the papers print it, for comparison in kind: other splits, encoders and label rules. "
        "A direction within one corpus is an upper bound."
    )
    yield _set(
        "published-results",
        "Published figures",
        published.drop(columns="status").assign(method=_methods(published)),
        columns,
        note,
        published=frozenset(published.columns) - {"direction", "method"},
    )


def _styles(inputs: ReportInputs) -> Iterator[ReportTable]:
    if inputs.styles is None:
        return
    rows = []
    for emotion, part in inputs.styles.groupby("emotion", sort=False):
        groups = part.groupby("community")
        shared = groups["corpus"].nunique() > 1
        tongues = groups["language"].agg(lambda spoken: ", ".join(sorted(set(spoken.dropna()))))
        rows.append(
            {
                "emotion": emotion,
                "speakers": len(part),
                "communities": len(shared),
                "sizes": ", ".join(map(str, sorted(groups.size(), reverse=True))),
                "of several corpora": int(shared.sum()),
                "languages (communities)": "; ".join(
                    f"{name or ABSENT} ({n})" for name, n in tongues.value_counts().items()
                ),
                "modularity": decimal(part["modularity"].iloc[0], 2),
                "silhouette": decimal(part["silhouette"].iloc[0], 2),
            }
        )
    note = (
        "Louvain communities of speakers by emotion, from the labels of all corpora; no method trains on them. "
        "Silhouette by cosine, -1 to 1."
    )
    yield _set("styles", "Communities of speakers, by emotion", pd.DataFrame(rows), {}, note)


def _across_first(results: pd.DataFrame) -> pd.DataFrame:
    """Directions between two corpora, then those within one."""
    ends = results["direction"].str.split("->", expand=True)
    return results.assign(within=ends[0] == ends[1]).sort_values("within", kind="stable", ignore_index=True)


def _four_class(inputs: ReportInputs, whole: pd.DataFrame, published: pd.DataFrame) -> ReportTable:
    against = whole.merge(published[["direction", "method", "uar"]], on=["direction", "method"], how="left")
    if "difference" not in against:  # only the baseline was run
        against[["difference", "difference_low", "difference_high", "p_holm"]] = float("nan")
    frame = pd.DataFrame(
        {
            "direction": against["direction"],
            "method": _methods(against),
            "UAR, %": [percent(value) for value in against["uar_mean"]],
            "95 % interval": [interval(100 * row.uar_low, 100 * row.uar_high) for row in against.itertuples()],
            "sd over seeds": [percent(value) for value in against["uar_sd"]],
            f"to {inputs.baseline.replace('_', ' ')}": [signed_points(100 * value) for value in against["difference"]],
            "its 95 % interval": [
                interval(100 * row.difference_low, 100 * row.difference_high) for row in against.itertuples()
            ],
            "p (Holm)": [p_value(value) for value in against["p_holm"]],
            "seeds": against["seeds"],
            "clips": against["clips"],
            "speakers": against["speakers"],
        }
    )
    if against["uar"].notna().any():
        frame[PUBLISHED] = [decimal(value) for value in against["uar"]]
    note = (
        f"Chance is {chance_level(inputs.results):.0f} %. Intervals: bootstrap over test speakers (over test clips "
        f"where speakers are fewer than {MINIMUM_SPEAKERS}) of the mean over seeds; differences are paired (same "
        "draws, same seeds), their p corrected by Holm's step-down over the methods of a direction. "
        "Published figures of the same direction and method, where there are any, stand in a column of their own."
    )
    return _set("results", "Unweighted average recall, all classes", frame, _DIRECTION, note)


def _by_class(whole: pd.DataFrame) -> ReportTable:
    frame = pd.DataFrame({"direction": whole["direction"], "method": _methods(whole)})
    for emotion in emotions_of(whole):
        frame[emotion] = [percent(value) for value in whole[f"recall_{emotion}"]]
    frame["calibration error"] = [percent(value) for value in whole["ece"]]
    if "fit_seconds" in whole:
        frame["a fit"] = [duration(value) for value in whole["fit_seconds"]]
    note = "Means over seeds. Calibration error: expected calibration error (15 bins), %. A fit: on one cell's CPUs."
    return _set("recalls", "Recall of each class, calibration, cost", frame, _DIRECTION, note)


def _one_vs_rest(whole: pd.DataFrame, published: pd.DataFrame) -> ReportTable:
    against = whole.merge(published, on=["direction", "method"], how="left", suffixes=("", "_published"))
    frame = pd.DataFrame({"direction": against["direction"], "method": _methods(against)})
    for emotion in emotions_of(whole):
        frame[emotion] = [percent(value) for value in against[f"uar_{emotion}"]]
    for emotion in emotions_of(whole):
        figures = against.get(f"uar_{emotion}_published")
        if figures is not None and figures.notna().any():
            frame[f"{emotion}, {PUBLISHED}"] = [decimal(value) for value in figures]
    note = "From the same decisions; chance is 50 %."
    return _set("one-vs-rest", "One emotion against the rest, UAR in per cent", frame, _DIRECTION, note)


def _binary(binary: pd.DataFrame, published: pd.DataFrame) -> ReportTable:
    frame = pd.DataFrame(
        {
            "direction": binary["direction"],
            "emotion": binary["task"],
            "method": _methods(binary),
            "UAR, %": [percent(value) for value in binary["uar_mean"]],
            "95 % interval": [interval(100 * row.uar_low, 100 * row.uar_high) for row in binary.itertuples()],
            "seeds": binary["seeds"],
        }
    )
    if "difference" in binary:
        frame.insert(5, "to the baseline", [signed_points(100 * value) for value in binary["difference"]])
        frame.insert(6, "p (Holm)", [p_value(value) for value in binary["p_holm"]])
    known = published.set_index(["direction", "method"])
    printed = [known[f"uar_{row.task}"].get((row.direction, row.method), float("nan")) for row in binary.itertuples()]
    if pd.notna(printed).any():
        frame[PUBLISHED] = [decimal(value) for value in printed]
    note = "Networks of two classes, chance 50 %. Published: the papers don't say whether theirs are such networks."
    return _set("binary-networks", "One network an emotion", frame, _DIRECTION, note)


def _methods(results: pd.DataFrame) -> list[str]:
    """Names of the methods; what was trained on the target itself is named the upper bound that it is."""
    return [
        UPPER_BOUND if row.direction.split("->")[0] == row.direction.split("->")[1] else method_name(row.method)
        for row in results.itertuples()
    ]


def emotions_of(results: pd.DataFrame) -> list[str]:
    """The classes of a table of results: binary networks have others than those of all emotions."""
    return [
        name.removeprefix("recall_") for name in results if name.startswith("recall_") and results[name].notna().any()
    ]


def chance_level(results: pd.DataFrame) -> float:
    """UAR of guessing among all emotions, per cent."""
    return 100 / len(emotions_of(results[results["task"] == "all"]))


def _provenance(inputs: ReportInputs) -> Iterator[ReportTable]:
    if inputs.leak_checks is not None:
        columns = {"check": ("check", as_text), "passed": ("outcome", lambda value: "passed" if value else "FAILED")}
        yield _set("leak-checks", "Leak checks", inputs.leak_checks, columns)
    if inputs.fingerprints is not None:
        note = "A fingerprint covers the settings that matter to the stage, its code and its inputs."
        yield _set("fingerprints", "Outputs", inputs.fingerprints, {}, note)
    if inputs.versions:
        frame = pd.DataFrame({"package": list(inputs.versions), "version": list(inputs.versions.values())})
        yield _set("versions", "Versions", frame, {"version": ("version", as_text)})
    if inputs.costs is not None:
        columns = {
            "wall_seconds": ("wall time", duration),
            "peak_memory_bytes": ("peak memory", megabytes),
            "rows": ("rows written", count),
        }
        yield _set("costs", "Cost of each stage", inputs.costs, columns)


def _truth(inputs: ReportInputs) -> Iterator[ReportTable]:
    if inputs.truth is not None:
        columns = {"value": ("found", lambda value: f"{value:.3g}"), "n": ("n", count)}
        note = "The answer is known because the corpora were generated. No stage reads it but for this table."
        yield _set("truth", "Found and wanted", inputs.truth, columns, note)


def _set(
    name: str,
    title: str,
    frame: pd.DataFrame,
    columns: dict[str, tuple[str, Callable[[object], str]]],
    note: str = "",
    published: frozenset[str] | None = None,
) -> ReportTable:
    """A frame as text: columns renamed and formatted as told, the others by their type."""
    text, numeric, marked = {}, set(), set()
    for column in frame:
        heading, write = columns.get(column, (str(column).replace("_", " "), as_text))
        text[heading] = [write(value) for value in frame[column]]
        if all(_NUMBER.fullmatch(cell) for cell in text[heading]):
            numeric.add(heading)
        if column in published if published is not None else PUBLISHED in heading:
            marked.add(heading)
    return ReportTable(name, title, pd.DataFrame(text, dtype=object), note, frozenset(marked), frozenset(numeric))


#: A cell to be set flush right: a number, perhaps with a sign, a unit, or as an interval, a fraction, with brackets.
_NUMBER = re.compile(rf"|{ABSENT}|(< )?[+−-]?[\d,]+(\.\d+)?(e[+-]?\d+)?( (to|/|min|h|\(|s|MiB|GiB).*)?")


def _and(pair: tuple[str, str] | None) -> str:
    return " and ".join(pair) if pair else "the corpora"
