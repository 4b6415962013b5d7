"""The stage tune on the sample: one study from its file to the winner."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from agser_core.experiment import load_experiment
from pipelines import cli


def tune(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli.main, ["tune", *arguments])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.output


@pytest.fixture(scope="module")
def study_file(extracted, tmp_path_factory):
    """A study of four trials on the extracted sample."""
    extracted.stage("cluster")
    file = tmp_path_factory.mktemp("study") / "study.yaml"
    content = {
        "name": "small",
        "experiment": str(extracted.config),
        "space": {
            "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
            "method": {"choice": ["none", "ag"]},
            "anchor.gamma": {"low": 0.1, "high": 3.0, "log": True, "when": {"method": "ag"}},
        },
        "trials": 4,
        "seeds": [0],
        "final_seeds": [],
        "scheduler": "none",
        "objective": "infomax",
    }
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


@pytest.fixture(scope="module")
def printed(study_file):
    return tune(str(study_file))


@pytest.fixture(scope="module")
def folder(printed, extracted):
    (found,) = extracted.output.glob("tune/*")
    return found


def test_a_study_leaves_all_trials_and_a_page(printed, folder):
    assert "4/4 trials (4 finished, 0 stopped, 0 failed), 0 running" in printed
    assert "tune: winner: trial" in printed and "target UAR" in printed
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["trials"] == 4 and manifest["states"] == {"finished": 4, "stopped": 0, "failed": 0}
    trials = pd.read_csv(folder / "trials.csv")
    assert trials["trial"].tolist() == [0, 1, 2, 3] and trials["target_uar"].notna().all()
    assert {"score_alder->birch", "score_birch->alder", "criterion_infomax", "learning_rate"} <= set(trials)
    assert pd.read_parquet(folder / "fits").groupby("trial").size().tolist() == [2] * 4
    assert "<svg" in (folder / "study.html").read_text()


def test_the_winner_is_an_experiment_that_train_takes(folder, extracted):
    trials = pd.read_csv(folder / "trials.csv")
    best = trials.loc[trials["score"].idxmax()]
    winner = load_experiment(str(folder / "winner.yaml"))
    assert winner.train.learning_rate == pytest.approx(best["learning_rate"])
    assert winner.train.method == best["method"] and winner.train.direction == "alder->birch"
    assert winner.train.epochs == load_experiment(str(extracted.config)).train.epochs
    for source, target in (("alder", "birch"), ("birch", "alder")):
        one = load_experiment(str(folder / f"winner.{source}.{target}.yaml"))
        assert one.train.direction == f"{source}->{target}"
        best = trials.loc[trials[f"score_{source}->{target}"].idxmax()]
        assert one.train.learning_rate == pytest.approx(best["learning_rate"])
    result = CliRunner().invoke(cli.main, ["train", "-c", str(folder / "winner.yaml")])
    assert result.exit_code == 0 and "UAR" in result.output


def tables(folder: Path) -> dict[Path, bytes]:
    """The files of the tables that the manifest names."""
    named = json.loads((folder / "manifest.json").read_text())["tables"]
    files = [folder / name / file for name, entry in named.items() for file in entry["files"]]
    return {file: file.read_bytes() for file in files}


def test_the_same_command_does_nothing_and_more_trials_go_on(printed, study_file, folder):
    assert "nothing to do" in tune("-c", str(study_file))
    marks = {file.name: file.stat().st_mtime_ns for file in (folder / "trials").glob("????.json")}
    before = tables(folder)
    more = tune(str(study_file), "trials=5")
    assert "4 of 5 trials had ended before, going on" in more
    after = {file.name: file.stat().st_mtime_ns for file in (folder / "trials").glob("????.json")}
    assert len(after) == 5 and {name: after[name] for name in marks} == marks
    # who had read the manifest of before still finds its tables, as they were
    assert not set(before) & set(tables(folder)) and all(file.read_bytes() == was for file, was in before.items())


def test_faults_are_plain(study_file, tmp_path):
    assert "no such study file" in tune(str(tmp_path / "none.yaml"), code=2)
    assert "two study files" in tune(str(study_file), "-c", "other.yaml", code=2)
    bad = tmp_path / "bad.yaml"
    bad.write_text(study_file.read_text().replace("low: 0.001", "low: 0"))
    printed = tune(str(bad), code=2)
    assert f"{bad}, line" in printed and "space.learning_rate.low: log of 0" in printed
