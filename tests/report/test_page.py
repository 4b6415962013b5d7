import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from made_up import PAIR, predictions

from agser_core.evaluation.published import published_results
from agser_core.evaluation.summary import summarise
from agser_core.report import figures
from agser_core.report.headlines import sentences
from agser_core.report.inputs import ReportInputs
from agser_core.report.page import build_page
from agser_core.report.tables import report_tables

#: Elements that HTML leaves open.
VOID = {"meta", "link", "input", "br", "path", "use", "rect"}


@pytest.fixture(scope="module")
def page(inputs):
    return build_page(inputs)


class Reader(HTMLParser):
    """Collects ids, references, text, and whether every element is closed."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.ids, self.references, self.outside, self.words = [], [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if "id" in named:
            self.ids.append(named["id"])
        for name in ("href", "xlink:href", "src"):
            target = named.get(name, "")
            (self.references if target.startswith("#") else self.outside).append(target)
        self.references += re.findall(r"url\((#[^)]+)\)", " ".join(value or "" for value in named.values()))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def test_the_page_is_well_formed_and_refers_to_nothing_outside(page):
    reader = Reader(page)
    assert reader.open == []
    assert {target for target in reader.outside if target} == {"data:,"}
    assert "@import" not in page and "fetch(" not in page
    assert len(page.encode()) < 3e6


def test_ids_are_unique_and_references_arrive(page):
    reader = Reader(page)
    assert len(reader.ids) == len(set(reader.ids))
    assert {target[1:] for target in reader.references if target} <= set(reader.ids)


def test_every_table_and_figure_of_the_inputs_is_on_the_page(page, inputs):
    for name, table in report_tables(inputs).items():
        assert page.count(f'id="table-{name}"') == 1
        assert len(table.frame) > 0
    figures = set(re.findall(r'id="figure-([\w-]+)"', page))
    expected = {
        "elbow-curve",
        "gesture-shares",
        "overlap-by-vowel",
        "vowel-gesture-map",
        "vowel-emotion-map",
        "sanity-curves",
        "association-by-emotion",
        "acoustic-clusters-map",
        "results-matrix",
        "speaker-styles",
        "confusion-alder-birch",
        "confusion-birch-alder",
        "clip-0-alder-000",
        "clip-1-birch-001",
    }
    assert figures == expected
    assert page.count('role="img"') == len(expected) + len(inputs.atlas.table)


def test_the_summary_says_what_the_tables_say(page, inputs):
    text = Reader(page).text
    row = inputs.overlap.query("vowel == 'all' and emotion == 'all' and form == 'ratio'").iloc[0]
    assert f"the gesture overlap of alder and birch is {row['value']:.1f} %" in text
    for direction in ("alder->birch", "birch->alder"):
        rows = inputs.results[inputs.results["direction"] == direction]
        assert f"is highest with a UAR of {100 * rows['uar_mean'].max():.1f} %" in text
    assert "no pretrained weights" in text
    assert "chance 25 %" in text


@pytest.mark.parametrize(
    ("p_value", "high", "words"),
    [
        (0.4, 95.0, "cannot be told apart"),
        (0.01, 95.0, "a draw of other speakers"),
        (0.01, 80.0, "use them differently"),
    ],
)
def test_the_verdict_on_overlap_needs_both_shuffles_and_interval(inputs, p_value, high, words):
    overlap = inputs.overlap.assign(p_value=p_value, high=high, null_mean=90.0)
    [sentence] = [line for line in sentences(dataclasses.replace(inputs, overlap=overlap)) if "intersect" in line]
    assert words in sentence


def test_binary_networks_have_a_table_of_their_own_and_change_no_other(inputs):
    decided = predictions(np.random.default_rng(0))
    binary = decided.assign(
        task="anger",
        **{name: decided[name].where(decided[name] == "anger", "rest") for name in ("emotion", "predicted")},
        probability_rest=1 - decided["probability_anger"],
    ).drop(columns=["probability_neutral", "probability_happiness", "probability_sadness"])
    both = dataclasses.replace(inputs, results=summarise(pd.concat([decided, binary]), draws=300))
    alone = dataclasses.replace(inputs, results=summarise(decided, draws=300))
    tables, without = report_tables(both), report_tables(alone)
    for name in ("results", "recalls", "one-vs-rest"):
        assert tables[name].frame.equals(without[name].frame) and tables[name].note == without[name].note
    own = tables["binary-networks"].frame.set_index(["direction", "method"])["UAR, %"]
    row = both.results.query("task == 'anger' and direction == 'alder->birch' and method == 'ag'").iloc[0]
    assert own["alder → birch", "AG"] == f"{100 * row['uar_mean']:.1f}"
    assert "chance 25 %" in Reader(build_page(both)).text


def test_same_inputs_same_bytes(page, inputs):
    assert build_page(inputs) == page


def test_an_empty_report_says_what_was_not_run():
    text = Reader(build_page(ReportInputs("nothing yet", "2025-03-01T00:00:00Z"))).text
    for words in (
        "Nothing was run yet",
        "No corpus was read",
        "No gestures:",
        "No overlap:",
        "No evaluation was run",
        "No leak check was run",
    ):
        assert words in text


#: Parts that go missing together, as stages are left out; between them every optional part.
STAGES = [
    ["corpora", "exclusions", "problems", "tracking"],
    ["elbow", "atlas", "pair", "overlap", "vowel_clusters", "vowel_emotions", "sanity", "sanity_vowel"],
    ["association", "acoustic_clusters"],
    ["results", "confusion"],
    ["styles", "style_edges"],
    ["encoder", "encoder_pretrained", "normalisation", "seeds", "leak_checks", "config", "fingerprints", "versions"],
    ["costs", "truth", "clips", "notes"],
]
_ALWAYS = {"name", "created", "threshold", "level", "baseline"}


def test_the_stages_name_every_optional_part():
    assert {name for stage in STAGES for name in stage} == {
        item.name for item in dataclasses.fields(ReportInputs)
    } - _ALWAYS


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage[0])
def test_any_stage_may_be_missing(inputs, stage):
    empty = ReportInputs("", "")
    missing = {name: getattr(empty, name) for name in stage}
    reader = Reader(build_page(dataclasses.replace(inputs, **{"clips": [], **missing})))
    assert reader.open == [] and "Summary" in reader.text


@pytest.mark.parametrize("name", [name for name in sum(STAGES, []) if name not in ("atlas", "results")])
def test_any_table_may_be_missing(inputs, name):
    missing = {name: getattr(ReportInputs("", ""), name)}
    assert len(report_tables(dataclasses.replace(inputs, **missing))) >= len(report_tables(inputs)) - 1


def test_corpora_without_emotions_and_without_training(inputs):
    neutral = dataclasses.replace(
        inputs,
        corpora=inputs.corpora.drop(columns=["neutral", "anger", "happiness", "sadness"]),
        atlas=dataclasses.replace(inputs.atlas, emotions=None),
        overlap=inputs.overlap[inputs.overlap["emotion"] == "all"],
        vowel_emotions=None,
        association=inputs.association[inputs.association["emotion"] == "all"],
        results=None,
        confusion=None,
        clips=[],
    )
    text = Reader(build_page(neutral)).text
    assert "the two corpora share no emotion label" in text
    assert "No evaluation was run" in text


def test_one_corpus_has_gestures_but_no_overlap(inputs):
    table = inputs.atlas.table.drop(columns=["common", "ratio", f"share_{PAIR[1]}"])
    alone = dataclasses.replace(
        inputs,
        pair=None,
        atlas=dataclasses.replace(inputs.atlas, table=table),
        overlap=None,
        vowel_clusters=None,
        vowel_emotions=None,
        sanity=None,
        clips=[],
    )
    text = Reader(build_page(alone)).text
    assert "No overlap: it takes gestures and two corpora" in text and "not common" not in text


def test_an_empty_gesture_is_left_out_of_the_atlas(inputs):
    mean, deviation, table = inputs.atlas.mean.copy(), inputs.atlas.deviation.copy(), inputs.atlas.table.copy()
    mean[3] = deviation[3] = np.nan
    table.loc[3, "members"] = 0
    emptied = dataclasses.replace(inputs.atlas, mean=mean, deviation=deviation, table=table)
    page = build_page(dataclasses.replace(inputs, atlas=emptied, clips=[]))
    assert 'data-gesture="2"' in page and 'data-gesture="3"' not in page
    assert "nan" not in re.findall(r'<script type="application/json".*?</script>', page, re.DOTALL)[0]


def test_text_from_corpora_cannot_become_markup(inputs):
    evil = "<script>alert(1)</script>&"
    clips = [dataclasses.replace(inputs.clips[0], transcript=evil, clip_id=evil)]
    errors = inputs.exclusions.assign(reason=evil)
    page = build_page(dataclasses.replace(inputs, name=evil, clips=clips, exclusions=errors, config=evil))
    assert "<script>alert" not in page
    assert Reader(page).open == []


def test_a_failed_leak_check_comes_first_into_view(inputs):
    checks = inputs.leak_checks.assign(passed=[True, False])
    text = Reader(build_page(dataclasses.replace(inputs, leak_checks=checks, clips=[]))).text
    assert "A leak check FAILED" in text and "1/2 leak checks passed" in text


def test_published_figures_stand_in_marked_columns_of_matching_directions(inputs):
    renamed = inputs.results.replace({"direction": {"alder->birch": "crema_d->msp_improv"}})
    tables = report_tables(dataclasses.replace(inputs, results=renamed))
    table = tables["results"]
    assert "published" in table.published
    row = table.frame[(table.frame["direction"] == "crema_d → msp_improv") & (table.frame["method"] == "AG")]
    assert row["published"].item() == "57.4"
    assert (table.frame.loc[table.frame["direction"] == "birch → alder", "published"] == "–").all()
    assert "published" not in report_tables(inputs)["results"].frame


def test_a_page_that_would_burden_is_refused(inputs, monkeypatch):
    monkeypatch.setattr("agser_core.report.page.LARGEST_PAGE", 1000)
    with pytest.raises(ValueError, match="show fewer clips"):
        build_page(dataclasses.replace(inputs, clips=[]))


def test_only_the_baseline_was_run(inputs):
    alone = inputs.results[inputs.results["method"] == "none"].drop(
        columns=["difference", "difference_low", "difference_high", "p", "p_holm"]
    )
    tables = report_tables(dataclasses.replace(inputs, results=alone))
    assert (tables["results"].frame["to none"] == "–").all()
    assert isinstance(build_page(dataclasses.replace(inputs, results=alone, confusion=None, clips=[])), str)


def test_binary_networks_get_a_table_of_their_own(inputs):
    binary = inputs.results.assign(task="anger")
    both = pd.concat([inputs.results, binary], ignore_index=True)
    tables = report_tables(dataclasses.replace(inputs, results=both))
    assert len(tables["binary-networks"].frame) == len(binary)
    assert len(tables["results"].frame) == len(inputs.results)


def test_the_figure_says_over_what_its_intervals_are(inputs):
    def caption(resampled):
        return figures.results(inputs.results.assign(resampled=resampled), published_results(), 25).caption

    assert "intervals over its clips." in caption("clips") and "intervals over its speakers." in caption("speakers")
