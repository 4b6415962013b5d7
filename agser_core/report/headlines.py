"""The summary at the top of the report: what ran and what came out, in plain words, made from the tables alone."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from agser_core.report.inputs import ReportInputs
from agser_core.report.tables import chance_level
from agser_core.report.words import (
    count,
    decimal,
    direction_name,
    hours,
    interval,
    is_absent,
    method_name,
    p_value,
    percent,
    plural,
    signed_points,
)


@dataclass(frozen=True)
class Tile:
    """One headline number: the number, its unit, what it is."""

    number: str
    unit: str
    label: str


def tiles(inputs: ReportInputs) -> list[Tile]:
    """At most six numbers worth a first look."""
    found = []
    if inputs.corpora is not None:
        speakers = int(inputs.corpora["speakers"].sum())
        found.append(Tile(count(inputs.corpora["clips"].sum()), "", f"clips of {plural(speakers, 'speaker')}"))
    if inputs.tracking is not None and inputs.tracking["video_frames"].sum():
        found.append(Tile(percent(_tracked(inputs.tracking)), "%", "of video frames tracked"))
    if inputs.atlas is not None:
        found.append(Tile(str(int((inputs.atlas.table["members"] > 0).sum())), "", "gestures"))
    pooled = _pooled_overlap(inputs, "ratio")
    if pooled is not None:
        found.append(Tile(decimal(pooled["value"], 0), "%", f"overlap of {_pair(inputs)}"))
    if inputs.results is not None:
        across = _across(inputs.results)
        if len(across):
            best = across.loc[across["uar_mean"].idxmax()]
            which = f"{method_name(best['method'])}, {direction_name(best['direction'])}"
            label = f"highest UAR across corpora of {len(across)} results, picked after the fact: {which}"
            found.append(Tile(percent(best["uar_mean"]), "%", label))
    if inputs.leak_checks is not None:
        passed, n = int(inputs.leak_checks["passed"].sum()), len(inputs.leak_checks)
        found.append(Tile(f"{passed}/{n}", "", "leak checks passed"))
    return found


def sentences(inputs: ReportInputs) -> list[str]:
    """What was found, a sentence a finding, in the order of the report; then the caller's own notes."""
    makers = (
        _on_corpora,
        _on_tracking,
        _on_gestures,
        _on_overlap,
        _on_association,
        _on_results,
        _on_encoder,
        _on_leaks,
    )
    return [sentence for make in makers for sentence in make(inputs)] + list(inputs.notes)


def _on_corpora(inputs: ReportInputs) -> list[str]:
    if inputs.corpora is None:
        return []
    table = inputs.corpora
    excluded = int(table["excluded"].sum())
    left_out = f"{plural(excluded, 'clip')} failed, listed by reason" if excluded else "no clip failed"
    clips, speakers = (int(table[column].sum()) for column in ("clips", "speakers"))
    return [
        f"{plural(len(table), 'corpus')} ({', '.join(table['corpus'])}): {plural(clips, 'clip')} of "
        f"{plural(speakers, 'speaker')}, {hours(table['hours'].sum())} of speech; {left_out}."
    ]


def _on_tracking(inputs: ReportInputs) -> list[str]:
    if inputs.tracking is None or not inputs.tracking["video_frames"].sum():
        return []
    vowels = int(inputs.tracking["vowels_with_mouth"].sum())
    return [
        f"The mouth was found in {percent(_tracked(inputs.tracking))} % of "
        f"{plural(int(inputs.tracking['video_frames'].sum()), 'video frame')}; "
        f"{plural(vowels, 'vowel')} of {count(inputs.tracking['vowels'].sum())} have a mouth movement."
    ]


def _tracked(tracking: pd.DataFrame) -> float:
    return (tracking["tracked_share"] * tracking["video_frames"]).sum() / tracking["video_frames"].sum()


def _on_gestures(inputs: ReportInputs) -> list[str]:
    if inputs.atlas is None:
        return []
    table = inputs.atlas.table
    how = ", their number chosen by the elbow of the inertia" if inputs.elbow is not None else ""
    shared = ""
    if "common" in table:
        common = plural(int(table["common"].sum()), "gesture")
        shared = f" {common} {'is' if table['common'].sum() == 1 else 'are'} common to {_pair(inputs)}."
    return [f"Mouth movements fall into {plural(int((table['members'] > 0).sum()), 'gesture')}{how}.{shared}"]


def _pooled_overlap(inputs: ReportInputs, form: str) -> pd.Series | None:
    if inputs.overlap is None:
        return None
    rows = inputs.overlap.query("vowel == 'all' and emotion == 'all' and form == @form")
    return rows.iloc[0] if len(rows) and not is_absent(rows.iloc[0]["value"]) else None


def _on_overlap(inputs: ReportInputs) -> list[str]:
    """The paper's measure looks at common gestures only, so whether corpora differ is read off all of them."""
    common, whole = _pooled_overlap(inputs, "ratio"), _pooled_overlap(inputs, "intersection")
    if common is None or whole is None:
        return []
    return [
        f"Over all vowels the gesture overlap of {_pair(inputs)} is {decimal(common['value'])} % "
        f"({100 * inputs.level:g} % interval {interval(common['low'], common['high'])}; mean ratio over common "
        "gestures).",
        f"Of all gestures, common or not, their shares intersect by {decimal(whole['value'])} % "
        f"({interval(whole['low'], whole['high'])}); corpora of one population would give "
        f"{decimal(whole['null_mean'])} % at these sizes, so {_verdict(whole)} (p {_p(whole['p_value'])}).",
    ]


def _verdict(overlap: pd.Series) -> str:
    """The shuffles take segments as independent, the interval does not: a difference must pass both."""
    if overlap["p_value"] >= 0.05:
        return "the two cannot be told apart by them"
    if overlap["high"] >= overlap["null_mean"]:
        return "the two differ, but no more than a draw of other speakers could make them"
    return "the two use them differently"


def _on_association(inputs: ReportInputs) -> list[str]:
    if inputs.association is None or "nmi" not in inputs.association:
        return []
    row = inputs.association[inputs.association["emotion"] == "all"].iloc[0]
    verdict = "more than chance" if row["nmi_p_value"] < 0.05 else "no more than chance"
    return [
        f"Gestures and sounds share {verdict}: normalised mutual information {decimal(row['nmi'], 3)} against "
        f"{decimal(row['nmi_null_mean'], 3)} for shuffled sounds (p {_p(row['nmi_p_value'])})."
    ]


def _across(results: pd.DataFrame) -> pd.DataFrame:
    ends = results["direction"].str.split("->", expand=True)
    return results[(ends[0] != ends[1]) & (results["task"] == "all")]


def _on_results(inputs: ReportInputs) -> list[str]:
    if inputs.results is None:
        return []
    said = []
    across = _across(inputs.results)
    for direction, rows in across.groupby("direction", sort=False):
        best = rows.loc[rows["uar_mean"].idxmax()]
        target = direction.split("->")[1]
        highest = f"{method_name(best['method'])} is highest with a UAR of {percent(best['uar_mean'])} %"
        sentence = f"{direction_name(direction)}: {highest}"
        baseline = rows[rows["method"] == inputs.baseline]
        if best["method"] != inputs.baseline and len(baseline):
            sentence += (
                f", {method_name(inputs.baseline)} has {percent(baseline['uar_mean'].iloc[0])} % (difference "
                f"{signed_points(100 * best['difference'])}, 95 % interval "
                f"{interval(100 * best['difference_low'], 100 * best['difference_high'])}, "
                f"p {_p(best['p_holm'])} after Holm)"
            )
        bound = inputs.results.query("direction == @target + '->' + @target and task == 'all'")
        if len(bound):
            sentence += f"; trained on {target} itself {percent(bound['uar_mean'].max())} %"
        said.append(f"{sentence}; chance {chance_level(inputs.results):.0f} %.")
    return said


def _on_encoder(inputs: ReportInputs) -> list[str]:
    if inputs.encoder is None:
        return []
    return [f"Speech encoder: {encoder_words(inputs)}."]


def encoder_words(inputs: ReportInputs) -> str:
    """Which encoder, and plainly whether its weights were pretrained."""
    if inputs.encoder_pretrained is None:
        return str(inputs.encoder)
    if inputs.encoder_pretrained:
        return f"{inputs.encoder}, pretrained weights"
    return f"{inputs.encoder} encoder, no pretrained weights, so figures stay below those of wav2vec 2.0"


def _on_leaks(inputs: ReportInputs) -> list[str]:
    if inputs.leak_checks is None:
        return []
    failed = inputs.leak_checks[~inputs.leak_checks["passed"].astype(bool)]
    if len(failed):
        return [f"A leak check FAILED, so no result below can be trusted: {', '.join(failed['check'])}."]
    return [f"Leak checks: {len(inputs.leak_checks)} of {len(inputs.leak_checks)} passed."]


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def _pair(inputs: ReportInputs) -> str:
    return " and ".join(inputs.pair) if inputs.pair else "the two corpora"
