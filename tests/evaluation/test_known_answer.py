"""The benchmark's arithmetic on made-up fits: paired intervals, bars, tables, the picture."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks import known_answer
from benchmarks.known_answer import BARS, ROWS


@pytest.fixture(scope="module")
def fits() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = []
    for seed in range(4):
        for row in ROWS:
            gain = 10.0 if row.method.startswith("ag") else 0.0
            rows.append(
                {"world": row.world, "normalise": row.normalise, "name": row.name, "seed": seed}
                | {"uar": 50 + gain + generator.normal(), "active_share_first": 1.0, "active_share_last": 0.5}
                | {"effective_rank_target": 5.0, "mean_cosine_target": 0.1}
            )
    return pd.DataFrame(rows)


def test_the_interval_is_that_of_the_paired_t_test(fits):
    own = fits[(fits["world"] == "info") & (fits["normalise"] == "corpus")].pivot(
        index="seed", columns="name", values="uar"
    )
    expected = stats.ttest_rel(own["ag-triplet"], own["none"]).confidence_interval(0.95)
    found = known_answer.paired(fits, "info", "corpus", "ag-triplet", "none")
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert found["won"] == found["seeds"] == 4


def test_every_bar_is_judged_by_its_difference(fits):
    found = known_answer.judge(fits)
    assert len(found) == len(BARS)
    for bar, (*_, least, greatest) in zip(found, BARS, strict=True):
        assert bar["holds"] == (least <= bar["difference"] <= greatest)
    held = {(bar["world"], bar["name"], bar["less"]): bar["holds"] for bar in found}
    assert held["info", "ag-attention", "none"] and not held["void", "ag-attention", "none"]


def test_tables_and_picture_show_every_row(fits, tmp_path):
    table = known_answer.summarise(fits)
    assert len(table) == len(ROWS) and list(table["name"][:2]) == [ROWS[0].name, ROWS[1].name]
    text = known_answer.markdown(table, known_answer.judge(fits))
    assert len(text.splitlines()) == len(ROWS) + len(BARS) + 5
    known_answer.draw(table, tmp_path / "picture.svg")
    drawn = (tmp_path / "picture.svg").read_text()
    assert all(row.name in drawn for row in ROWS)


def test_only_rows_that_exist_decide():
    assert {(bar[0], bar[1], name) for bar in BARS for name in bar[2:4]} <= {
        (row.world, row.normalise, row.name) for row in ROWS
    }
