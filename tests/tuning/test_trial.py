"""One trial: what it reports, what it leaves, and what it never sees."""

import dataclasses

import numpy as np
import pandas as pd
import planted_study
import pytest

from agser_core.evaluation.leaks import shuffled_labels
from agser_core.evaluation.loading import FoldData
from agser_core.evaluation.matrix import Cell, run_cell
from agser_core.tuning import posthoc
from agser_core.tuning.criteria import CRITERIA
from agser_core.tuning.record import TrialRecord, best, trial_table
from agser_core.tuning.search import PointSearch
from agser_core.tuning.trial import TrialPlan, Worker, hide_labels


def run(folds, directions, objective="infomax", seeds=(0, 1), settings=planted_study.BASE):
    plan = TrialPlan.of(directions, [0], seeds, objective, target_clips=50)
    trial = Worker(hide_labels(folds, directions), plan).start(settings)
    curve = []
    while not trial.finished:
        curve.append(trial.next_epoch())
    left, predictions = trial.finish()
    return curve, left, predictions


def test_fits_side_by_side_are_those_of_the_matrix():
    folds = planted_study.folds()
    curve, left, predictions = run(folds, planted_study.DIRECTIONS, "dev_uar")
    for seed in (0, 1):
        cell = run_cell(Cell("a", "b", "ag", seed), folds[0].data, folds[0].partitions, planted_study.BASE)
        own = predictions[predictions["seed"] == seed]
        columns = [name for name in own if name.startswith("probability_")]
        assert own["clip_id"].tolist() == cell.predictions["clip_id"].tolist()
        np.testing.assert_array_equal(own[columns].to_numpy(), cell.predictions[columns].to_numpy())
        fit = next(fit for fit in left["fits"] if fit["seed"] == seed)
        assert fit["epoch"] == cell.chosen_epoch
        assert fit["dev_uar"] == pytest.approx(cell.history["dev_uar"][cell.chosen_epoch])
    assert [entry["epoch"] for entry in curve] == [1, 2, 3]
    assert curve[-1]["score"] == curve[-1]["dev_uar"] == pytest.approx(left["criteria"]["a->b"]["dev_uar"])


@pytest.mark.parametrize("objective", ["infomax", "seed_agreement", "dev_loss"])
def test_the_last_report_is_the_score_of_what_is_left(objective):
    curve, left, _ = run(planted_study.folds(), planted_study.DIRECTIONS, objective)
    assert curve[-1]["by_direction"]["a->b"] == pytest.approx(left["criteria"]["a->b"][objective], rel=1e-5)
    assert set(left["criteria"]["a->b"]) == {*CRITERIA, "seed_agreement"}


def test_shuffled_target_labels_change_nothing():
    folds = planted_study.folds()
    data = folds[0].data
    dealt = {0: FoldData({**data, "b": shuffled_labels(data["b"], 5)}, folds[0].partitions)}
    first, second = (run(one, planted_study.DIRECTIONS) for one in (folds, dealt))
    without_time = [[{**entry, "seconds": 0} for entry in curve] for curve in (first[0], second[0])]
    assert without_time[0] == without_time[1] and first[1]["criteria"] == second[1]["criteria"]
    assert first[2].equals(second[2])
    truth = posthoc.target_uars(posthoc.labelled_predictions({0: first[2]}, data))
    other = posthoc.target_uars(posthoc.labelled_predictions({0: second[2]}, dealt[0].data))
    assert truth["target_uar"][0] != other["target_uar"][0]  # only the table after the fact sees them


def test_shuffled_target_labels_give_the_same_trials_and_winner():
    """A whole search with TPE, whose proposals depend on every score: one other score would make other trials."""
    folds, space = planted_study.folds(), planted_study.space()
    data = folds[0].data
    dealt = {0: FoldData({**data, "b": shuffled_labels(data["b"], 5)}, folds[0].partitions)}

    def searched(one) -> list[TrialRecord]:
        search, found = PointSearch(space, "tpe", startup_trials=2, seed=0), []
        for number in range(5):
            point = search.ask(number)
            settings = space.settings(planted_study.BASE, point).model_copy(update={"epochs": 2})
            curve, left, _ = run(one, planted_study.DIRECTIONS, "importance_weighted", (0,), settings)
            curve = [{**entry, "seconds": 0.0} for entry in curve]
            found.append(TrialRecord(number, point, "finished", curve, criteria=left["criteria"]))
            search.tell(number, point, "finished", found[-1].scores)
        return found

    first, second = searched(folds), searched(dealt)
    assert [(one.point, one.curve) for one in first] == [(one.point, one.curve) for one in second]
    assert best(first).number == best(second).number


def test_labels_that_no_fit_may_see_leave_before_the_data_do():
    folds = planted_study.folds()
    one_way = hide_labels(folds, [("a", "b")])[0]
    assert (one_way.data["b"].emotion < 0).all() and (one_way.data["a"].emotion >= 0).any()
    partition = folds[0].partitions["a"].copy()
    partition[partition == "dev"] = "test"
    both = hide_labels({0: FoldData(folds[0].data, {**folds[0].partitions, "a": partition})}, [("a", "b"), ("b", "a")])
    assert (both[0].data["a"].emotion[partition == "test"] < 0).all()
    assert (both[0].data["a"].emotion[partition == "train"] >= 0).all()
    assert (both[0].data["b"].emotion[folds[0].partitions["b"] == "test"] < 0).all()


def test_patience_ends_fits_one_by_one():
    settings = planted_study.BASE.model_copy(update={"epochs": 12, "patience": 1, "learning_rate": 1e-2})
    curve, left, _ = run(planted_study.folds(), planted_study.DIRECTIONS, "dev_uar", (0, 1, 2), settings)
    epochs = [fit["epochs"] for fit in left["fits"]]
    assert max(epochs) == len(curve) and min(epochs) < max(epochs)


def record(number, score, state="finished", by_direction=None):
    curve = [{"epoch": 1, "score": score, "dev_uar": 0.5, "by_direction": by_direction or {}, "seconds": 1.0}]
    return TrialRecord(number, {"epochs": number}, state, curve)


def test_the_winner_is_the_first_of_the_best_finished_trials():
    records = [record(0, 0.5), record(1, 0.9, "stopped"), record(2, 0.7), record(3, 0.7)]
    assert best(records).number == 2
    split = [
        record(0, 0.5, by_direction={"a->b": 0.9, "b->a": 0.1}),
        record(1, 0.6, by_direction={"a->b": 0.5, "b->a": 0.7}),
    ]
    assert [best(split, direction).number for direction in (None, "a->b", "b->a")] == [1, 0, 1]
    assert best([record(0, 0.5, "failed")]) is None
    assert trial_table(records, ["epochs"])["epochs"].tolist() == [0, 1, 2, 3]


def test_ranking_by_hand():
    uars = pd.DataFrame({"trial": range(6), "direction": "a->b", "target_uar": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]})
    values = {"good": range(6), "bad": range(6, 0, -1), "flat": [1] * 6}
    criteria = {trial: {"a->b": {name: list(column)[trial] for name, column in values.items()}} for trial in range(6)}
    table = posthoc.criterion_ranking(criteria, uars, draws=50).set_index(["criterion", "direction"])
    assert table.loc[("good", "mean"), "correlation"] == pytest.approx(1)
    assert table.loc[("bad", "a->b"), "correlation"] == pytest.approx(-1)
    assert table.loc[("flat", "a->b"), "correlation"] == 0
    assert table.loc[("good", "a->b"), "regret"] == 0 and table.loc[("bad", "a->b"), "regret"] == pytest.approx(0.5)
    assert list(dict.fromkeys(table.reset_index()["criterion"])) == ["good", "flat", "bad"]


def test_few_trials_leave_a_rank_correlation_uncertain():
    """The interval is over other trials: wide for ten of them, narrower for a hundred, and round the correlation."""
    draw, widths = np.random.default_rng(0), []
    for trials in (10, 100):
        truth = draw.normal(size=trials)
        uars = pd.DataFrame({"trial": range(trials), "direction": "a->b", "target_uar": truth})
        told = truth + draw.normal(size=trials)
        criteria = {trial: {"a->b": {"some": told[trial]}} for trial in range(trials)}
        row = posthoc.criterion_ranking(criteria, uars, draws=400).iloc[0]
        assert row["correlation_low"] < row["correlation"] < row["correlation_high"]
        widths.append(row["correlation_high"] - row["correlation_low"])
    assert widths[0] > 0.3 and widths[1] < 0.7 * widths[0]


def test_shown_clips_are_limited_and_unlabelled():
    folds = planted_study.folds()
    plan = TrialPlan.of(planted_study.DIRECTIONS, [0], [0], "infomax", target_clips=20)
    worker = Worker(hide_labels(folds, planted_study.DIRECTIONS), plan)
    parts = worker.parts(plan.fits[0], "corpus")
    assert len(parts.shown) == 20 and len(parts.target) == 80
    for part in (parts.shown, parts.target, parts.test):
        assert (part.emotion < 0).all()
    assert worker.parts(plan.fits[0], "corpus") is parts
    assert dataclasses.replace(plan.fits[0], seed=9).direction == "a->b"
