"""The plan of a run: what is done, what is left, what it takes."""

import dataclasses
import json

import pytest

from agser_core.experiment import load_experiment
from pipelines.extract import plan_corpus
from pipelines.plan import FINE_TUNING, RATES, Step, lines, plan_run


def plan_of(run, *overrides: str, cores: int = 2) -> dict[str, Step]:
    experiment = load_experiment(str(run.config), overrides)
    corpora = [plan_corpus(experiment, name) for name in experiment.corpora]
    return {step.stage: step for step in plan_run(experiment, corpora, cores)}


def test_before_anything_was_run_the_documented_rates_stand_in(sample, tmp_path):
    steps = plan_of(sample, f"output={tmp_path}", "extract.clips_per_unit=1", "split.groups=3", cores=8)
    assert [step.stage for step in steps.values()][:3] == ["extract alder", "extract birch", "cluster"]
    assert not any(step.measured for step in steps.values()) and all(step.left for step in steps.values())
    alder = steps["extract alder"]
    assert alder.left == "12 of 12 clips" and alder.cores == 8 and alder.seconds == pytest.approx(12 * RATES["extract"])
    assert alder.hours == pytest.approx(alder.core_hours / 8)
    assert steps["evaluate"].left == "6 of 6 fits" and steps["evaluate"].cores == 6  # not more cores than fits
    asked = plan_of(
        sample,
        f"output={tmp_path}",
        "extract.clips_per_unit=1",
        "ray.extract_workers=5",
        "ray.cluster_workers=3",
        "evaluate.tasks=[all, anger]",
    )
    assert asked["extract alder"].cores == 5  # what a scaling cluster is asked for
    assert asked["cluster"].cores == 3 and steps["cluster"].cores == 1
    assert asked["evaluate"].left == "12 of 12 fits"  # a network a task


def test_fits_that_train_the_encoder_are_not_planned_as_those_of_the_head(tmp_path, write_experiment):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        rows = [f"{number}.wav,{'abc'[number % 3]},anger" for number in range(12)]
        (tmp_path / name / "clips.csv").write_text("\n".join(["file,speaker,emotion", *rows]))
        for number in range(12):
            (tmp_path / name / f"{number}.wav").touch()
    run = write_experiment(
        tmp_path,
        {name: {"adapter": "manifest", "path": str(tmp_path / name)} for name in ("here", "there")},
        evaluate={"methods": ["none", "pa"], "seeds": [0]},
    )
    for stage in ("train", "evaluate"):
        manifest = {"created": "2026", "wall_seconds": 3.0, "fit_seconds": 4.0, "tables": {"cells": {"rows": 1}}}
        (run.output / stage / "earlier").mkdir(parents=True)
        (run.output / stage / "earlier" / "manifest.json").write_text(json.dumps(manifest))
    head = plan_of(run)
    assert head["train"].seconds == 3 and head["evaluate"].seconds == 6 * 4 and head["evaluate"].measured
    whole = plan_of(run, "train.fine_tune=true", "extract.speech.frame_layer=-2")
    assert whole["train"].seconds == pytest.approx(24 * 15 * FINE_TUNING) and not whole["train"].measured
    assert whole["evaluate"].seconds == pytest.approx(6 * 24 * 15 * FINE_TUNING) and not whole["evaluate"].measured


def test_what_is_done_is_done_and_what_was_measured_is_used(extracted):
    steps = plan_of(extracted)
    assert not steps["extract alder"].left and not steps["extract birch"].seconds
    changed = plan_of(extracted, "extract.mouth.origin=eyes")["extract alder"]
    report = plan_corpus(load_experiment(str(extracted.config)), "alder").output.manifest()["report"]
    assert changed.measured and changed.left == "12 of 12 clips"
    assert changed.seconds == pytest.approx(12 / report["clips_per_core_second"], rel=1e-3)


def test_a_part_that_is_done_is_not_counted(extracted):
    experiment = load_experiment(str(extracted.config))
    plan = plan_corpus(experiment, "alder")
    everything = plan_corpus(load_experiment(str(extracted.config), ("extract.mouth.origin=eyes",)), "alder").units
    (step,) = [
        step
        for step in plan_run(experiment, [dataclasses.replace(plan, units=everything[:1])], 2)
        if step.stage == "extract alder"
    ]
    assert step.left == "8 of 12 clips" and step.measured and step.cores == 1


def test_the_plan_adds_up_and_tells_the_cost():
    steps = [Step("extract a", "7 of 9 clips", 7200.0, 4, True), Step("cluster"), Step("train", "9 clips", 3600.0)]
    shown = lines(steps, price=0.5)
    assert shown[1].split()[-5:] == ["4", "30", "min", "2.00", "1.00"]
    assert shown[2].split() == ["cluster", "done"] and shown[3].endswith("~")
    assert "1:30 h" in shown[-1] and "3.00 core-hours" in shown[-1] and "cost 1.50" in shown[-1]
    assert "cost" not in "".join(lines(steps, price=None))


def test_the_command_prints_the_plan_and_stops(extracted, tmp_path):
    printed = extracted.stage("run", f"output={tmp_path / 'other'}", "--plan", "--price-per-hour=0.05")
    assert "12 of 12 clips" in printed and "cost" in printed and not list(tmp_path.glob("other/extract/*/*/units/*"))
