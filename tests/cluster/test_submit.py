"""What a submission uploads, refuses and asks of Ray."""

import json
import shutil
import subprocess

import pytest
import yaml
from click.testing import CliRunner
from conftest import ROOT

from agser_core.storage import Location
from agser_core.tuning.study import load_study
from pipelines import cli, submit
from pipelines.cli import STAGES


def test_the_upload_is_code_and_experiment_files_and_nothing_else(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("name: mine")
    folder = tmp_path / "upload"
    folder.mkdir()
    assert submit.gather(folder, [config]) == "experiment/mine.yaml"
    top = {path.name for path in folder.iterdir()}
    assert top == {"agser_core", "pipelines", "tune_configs", "constraints.txt", "pyproject.toml", "experiment"}
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds <= {".py", ".yaml", ".toml", ".txt", ".json", ".j2", ".css", ".js"}
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 5e6
    ready = ROOT / "tune_configs" / "experiments" / "sample.yaml"
    (tmp_path / "other").mkdir()
    assert submit.gather(tmp_path / "other", [ready]) == "tune_configs/experiments/sample.yaml"


def test_a_study_goes_with_all_that_it_names(tmp_path):
    experiments, studies = tmp_path / "experiments", tmp_path / "studies"
    experiments.mkdir(), studies.mkdir()
    shutil.copy(ROOT / "tune_configs" / "experiments" / "sample.yaml", experiments / "mine.yaml")
    (studies / "own.yaml").write_text("network.dropout: {low: 0.1, high: 0.5}")
    content = {"name": "mine", "experiment": "../experiments/mine.yaml", "spaces": ["own.yaml"]}
    (studies / "study.yaml").write_text(yaml.safe_dump(content))
    files = submit.files_of("tune", str(studies / "study.yaml"), ("trials=3", "train.epochs=2"))
    (tmp_path / "upload").mkdir()
    there = tmp_path / "upload" / submit.gather(tmp_path / "upload", files)
    assert load_study(str(there)).identity() == load_study(str(studies / "study.yaml")).identity()


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_of_a_job_is_one_that_the_stage_takes(stage):
    """Stages without an experiment file are given none."""
    config = {"tune": "tune_configs/sample.yaml"}.get(stage, "tune_configs/experiments/sample.yaml")
    given = submit.files_of(stage, str(ROOT / config), ())
    command = submit.entrypoint(stage, config if given else None, ())[4:]
    taken = [option for parameter in cli.main.get_command(None, stage).params for option in parameter.opts]
    assert bool(given) == ("--config" in taken) == ("-c" in command)


def test_a_relative_path_means_the_one_seen_from_the_submission(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = submit.runtime_environment(install=False)["env_vars"]["AGSER_ROOT"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("AGSER_ROOT", given)
    assert Location.parse("runs/mine").uri == str(tmp_path / "runs" / "mine")
    assert Location.parse("/runs/mine").uri == "/runs/mine" and Location.parse("s3://b/k").uri == "s3://b/k"


@pytest.fixture
def ray_called(monkeypatch, tmp_path):
    """The arguments of the `ray` that submit calls, which does nothing."""
    calls = []
    monkeypatch.setattr(
        subprocess, "run", lambda arguments: calls.append(arguments) or subprocess.CompletedProcess(arguments, 0)
    )
    monkeypatch.chdir(tmp_path)
    return calls


def call(*arguments: str):
    return CliRunner().invoke(submit.main, arguments)


def test_it_is_ray_job_submit(ray_called, tmp_path):
    result = call("extract", "ray.extract_workers=8", "--address", "http://head:8265", "--no-wait", "--install")
    assert result.exit_code == 0 and "upload" in result.output and "MB in" in result.output
    (arguments,) = ray_called
    assert arguments[1:5] == ["job", "submit", "--address", "http://head:8265"] and "--no-wait" in arguments
    command = arguments[arguments.index("--") + 1 :]
    assert command == submit.entrypoint("extract", "tune_configs/experiments/sample.yaml", ("ray.extract_workers=8",))
    environment = json.loads(arguments[arguments.index("--runtime-env-json") + 1])
    assert environment["pip"][0].endswith("constraints.txt") and not any(
        p.startswith("ray") for p in environment["pip"]
    )
    assert (tmp_path / ".last-job").read_text() == arguments[arguments.index("--submission-id") + 1]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["extract", "extract.sppech.encoder=x"], "did you mean 'speech'?"),
        (["extract", "-c", "no.yaml"], "no such experiment file"),
        (["tune", "-c", str(ROOT / "tune_configs" / "sample.yaml"), "trails=3"], "trails: unknown key"),
        (["extract", "--limit-mb=0.1"], "more than --limit-mb=0.1"),
        (["exrtact"], "is not one of"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_uploaded(ray_called, arguments, words):
    result = call(*arguments)
    assert result.exit_code == 2 and words in result.output and ray_called == []


def test_the_experiment_of_the_cluster_page_fits_the_launcher_file(launcher_file):
    """As many workers as its nodes can hold, and no more memory than a node has for its CPUs."""
    experiment = yaml.safe_load((ROOT / "tune_configs" / "experiments" / "crema_d.yaml").read_text())
    node = launcher_file["available_node_types"]["cpu-spot"]
    assert experiment["ray"]["extract_workers"] <= node["max_workers"] * node["resources"]["CPU"]
