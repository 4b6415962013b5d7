"""What a submission uploads, refuses and asks of Ray."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from agser_core.storage import Location
from agser_core.tuning.study import load_study
from pipelines import cli, submit
from pipelines.cli import STAGES

ROOT = Path(__file__).parents[2]


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
    """The arguments of the `ray` that submit calls, which does nothing but to end as `answers` tells, last first."""

    def run(arguments, **options):
        calls.append(arguments)
        code, words = calls.answers.pop() if calls.answers else (0, "")
        return subprocess.CompletedProcess(arguments, code, stderr=words)

    class Calls(list):
        answers: list[tuple[int, str]] = []

    calls = Calls()
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(submit, "_PAUSES", (0, 0))
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


def test_a_job_that_is_waited_for_can_be_stopped_by_name_and_one_that_was_refused_cannot(
    ray_called, tmp_path, monkeypatch
):
    last = tmp_path / ".last-job"
    ray_called.answers = [(1, REFUSED.format(kind="ConnectionError", words="Failed to connect"))]
    assert call("extract").exit_code == 2 and not last.exists()
    last.write_text("an-older-job")
    ray_called.answers = [(1, REFUSED.format(kind="ConnectionError", words="Failed to connect"))]
    assert call("extract").exit_code == 2 and last.read_text() == "an-older-job"

    def interrupted(arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    assert call("extract").exit_code != 0 and last.read_text().startswith("agser-extract-")


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


REFUSED = """Traceback (most recent call last):
  File "cli.py", line 1, in submit
{kind}: {words}
"""
NOT_YET = REFUSED.format(
    kind="RuntimeError", words="Request failed with status code 500: No available agent to submit job"
)


def test_a_head_that_has_just_started_is_asked_again(ray_called):
    ray_called.answers = [(0, ""), (1, NOT_YET), (1, NOT_YET)]
    result = call("extract")
    assert result.exit_code == 0 and len(ray_called) == 3 and "takes no jobs yet" in result.output
    assert len({tuple(arguments) for arguments in ray_called}) == 1
    ray_called.answers = [(1, NOT_YET)] * 3
    result = call("extract")
    assert result.exit_code == 2 and "may have taken its ports" in result.output


@pytest.mark.parametrize(
    "kind, words, remedy",
    [
        ("ConnectionError", "Failed to connect to Ray at address: http://127.0.0.1:8265.", "make dashboard"),
        ("ray.exceptions.AuthenticationError", "Authentication failed: Forbidden\n\nToken", "~/.ray/auth_token"),
    ],
)
def test_a_server_that_takes_no_job_is_one_line_with_the_remedy(ray_called, kind, words, remedy):
    ray_called.answers = [(1, REFUSED.format(kind=kind, words=words))]
    result = call("extract")
    assert result.exit_code == 2 and "Traceback" not in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert words.splitlines()[0] in line and remedy in line


def test_a_job_that_fails_gives_its_exit_code_and_what_ray_said(ray_called):
    ray_called.answers = [(1, "Job 'agser-extract' failed\n")]
    result = call("extract")
    assert result.exit_code == 1 and "Job 'agser-extract' failed" in result.output
