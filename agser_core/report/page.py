"""The report as one HTML page that needs nothing but itself: styles, script, figures and data lie inside."""

from __future__ import annotations

import json

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from agser_core.evaluation.published import published_results
from agser_core.gestures.overlap import PUBLISHED_AVERAGES
from agser_core.report import figures, headlines, mouths, words
from agser_core.report.clip_figure import clip_figure
from agser_core.report.drawing import OKABE_ITO, Figure, style
from agser_core.report.inputs import ReportInputs
from agser_core.report.tables import chance_level, report_tables

#: Above this a page is a burden to send; `build_page` refuses it.
LARGEST_PAGE = 10_000_000
#: Methods whose confusion is shown, as far as they were run, beside the baseline.
_SHOWN_IN_DETAIL = ("ag", "hard_ag", "pa", "la", "sapa")


def build_page(inputs: ReportInputs) -> str:
    """The page.

    Args:
        inputs: what there is to show; parts that are missing are named as not run.

    Returns:
        HTML, below 10 MB, the same bytes for the same inputs.

    Raises:
        ValueError: the page would exceed 10 MB; show fewer clips.
    """
    environment = Environment(
        loader=PackageLoader("agser_core.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = _figures(inputs)
    page = environment.get_template("page.html.j2").render(
        inputs=inputs,
        tables=report_tables(inputs),
        figures={name: Markup(figure.svg) for name, figure in drawn.items()},
        captions={name: figure.caption for name, figure in drawn.items()},
        tiles=headlines.tiles(inputs),
        sentences=headlines.sentences(inputs),
        encoder=headlines.encoder_words(inputs) if inputs.encoder else None,
        atlas=_atlas(inputs),
        palette=OKABE_ITO,
        made=words.moment(inputs.created),
    )
    if len(page.encode()) > LARGEST_PAGE:
        raise ValueError(f"the report has {len(page.encode()) / 1e6:.1f} MB, at most 10: show fewer clips")
    return page


def _figures(inputs: ReportInputs) -> dict[str, Figure]:
    """Every figure that the inputs allow, by name."""
    with style():
        drawn = [*_gesture_figures(inputs), *_result_figures(inputs)]
        drawn += [clip_figure(clip, number) for number, clip in enumerate(inputs.clips)]
    return {figure.name: figure for figure in drawn}


def _gesture_figures(inputs: ReportInputs) -> list[Figure]:
    drawn = []
    if inputs.elbow is not None and len(inputs.elbow):
        drawn.append(figures.elbow(inputs.elbow))
    if inputs.atlas is not None:
        drawn.append(figures.shares(inputs.atlas.table))
    if inputs.overlap is not None:
        drawn.append(figures.overlap_by_vowel(inputs.overlap, PUBLISHED_AVERAGES))
    if inputs.vowel_clusters is not None:
        table = inputs.vowel_clusters.set_index("vowel")
        entries = table[[name for name in table if name.isdigit()]].add_prefix("G")
        words = "Overlap of each gesture for each vowel, ratio in per cent; blank: the gesture does not occur."
        drawn.append(figures.heat_map("vowel-gesture-map", entries, words, words))
    if inputs.vowel_emotions is not None:
        table = inputs.vowel_emotions.set_index("vowel").drop(columns="published_average")
        words = "Overlap by vowel and emotion, ratio in per cent."
        drawn.append(figures.heat_map("vowel-emotion-map", table, words, words))
    if inputs.sanity is not None and len(inputs.sanity):
        drawn.append(figures.sanity(inputs.sanity, inputs.sanity_vowel))
    if inputs.association is not None:
        drawn.append(figures.association(inputs.association))
    if inputs.acoustic_clusters is not None:
        order = list(dict.fromkeys(inputs.acoustic_clusters["emotion"]))
        table = inputs.acoustic_clusters.pivot(index="gesture", columns="emotion", values="effective_clusters")
        table = table.reindex(columns=order).rename(index=lambda gesture: f"G{gesture}")
        words = "Effective number of acoustic clusters inside each gesture: darker, more sounds for one movement."
        top = float(table.max(axis=None))
        drawn.append(
            figures.heat_map(
                "acoustic-clusters-map", table, words, words, low=1, high=max(top, 2), label="effective number"
            )
        )
    return drawn


def _result_figures(inputs: ReportInputs) -> list[Figure]:
    drawn = []
    if inputs.results is not None:
        whole = inputs.results[inputs.results["task"] == "all"]
        if len(whole):
            drawn.append(figures.results(whole, published_results(), chance_level(inputs.results)))
    if inputs.styles is not None and inputs.style_edges is not None:
        drawn.append(figures.styles(inputs.styles, inputs.style_edges))
    if inputs.confusion is not None:
        ends = inputs.confusion["direction"].str.split("->", expand=True)
        whole = inputs.confusion[(inputs.confusion["task"] == "all") & (ends[0] != ends[1])]
        for direction, part in whole.groupby("direction", sort=False):
            there = list(dict.fromkeys(part["method"]))
            chosen = [name for name in (inputs.baseline, *_SHOWN_IN_DETAIL) if name in there][:3] or there[:3]
            drawn.append(figures.confusion(part, direction, chosen))
    return drawn


def _atlas(inputs: ReportInputs) -> dict | None:
    """What the template and the script need of the gesture atlas."""
    if inputs.atlas is None:
        return None
    drawn, table = mouths.mouths(inputs.atlas), inputs.atlas.table.set_index("gesture")
    shares = [name for name in table if name.startswith("share_")]
    cards = [
        {
            "mouth": mouth,
            "middle": len(mouth.frames) // 2,
            "common": bool(table.loc[mouth.gesture, "common"]) if "common" in table else None,
            "ratio": table.loc[mouth.gesture, "ratio"] if "ratio" in table else None,
            "shares": [(name.removeprefix("share_"), 100 * table.loc[mouth.gesture, name]) for name in shares],
            "phones": mouths.who(inputs.atlas, mouth.gesture, "phone"),
            "emotions": mouths.who(inputs.atlas, mouth.gesture, "emotion") if inputs.atlas.emotions is not None else [],
        }
        for mouth in drawn
    ]
    movements = {str(mouth.gesture): {"frames": mouth.frames, "bands": mouth.bands} for mouth in drawn}
    return {
        "cards": cards,
        "largest_share": max((share for card in cards for _, share in card["shares"]), default=1) or 1,
        "view_box": mouths.view_box(inputs.atlas),
        "rest": mouths.rest(inputs.atlas) if drawn else "",
        "stills": mouths.STILLS,
        "data": Markup(json.dumps(movements, separators=(",", ":"))),
    }
