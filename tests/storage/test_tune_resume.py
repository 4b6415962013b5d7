"""A study whose experiment lies on S3: killed in the middle, it goes on from its marks there to its winner."""

import json
import signal
import time

import pytest
import yaml
from jobs import Jobs

from agser_core.chain import tune_output
from agser_core.outputs import StageOutput
from agser_core.tuning.study import load_study

pytestmark = pytest.mark.slow

TRIALS = 8


@pytest.fixture(scope="module")
def study(server, tmp_path_factory) -> Jobs:
    """A study file on two generated corpora that lie on S3, extracted and clustered there."""
    folder = tmp_path_factory.mktemp("study")
    jobs = Jobs.on_s3(server, folder, "study", "sample", "extract", "cluster")
    content = {
        "name": "on S3",
        "experiment": jobs.config.name,
        "space": {
            "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
            "method": {"choice": ["none", "ag"]},
            "anchor.gamma": {"low": 0.1, "high": 3.0, "log": True, "when": {"method": "ag"}},
        },
        "trials": TRIALS,
        "startup_trials": 3,
        "grace_epochs": 1,
        "seeds": [0],
        "final_seeds": [0],
    }
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return Jobs(file, jobs.environment)


@pytest.fixture(autouse=True)
def signed_in(sign_in):
    sign_in()


def left_by(study: Jobs) -> StageOutput:
    loaded = load_study(str(study.config))
    return tune_output(loaded.experiment, loaded.identity())


def marks(study: Jobs) -> dict[str, bytes]:
    """The marks of ended trials and the points of those that were asked for, by name."""
    files = left_by(study).folder.join("trials").list()
    return {file.name: file.read_bytes() for file in files if file.name.endswith(".json")}


def ended(marks: dict[str, bytes]) -> set[str]:
    return {name for name in marks if not name.endswith(".asked.json")}


def test_a_driver_killed_in_the_middle(study):
    job, end = study.start("tune"), time.monotonic() + 240
    while len(ended(marks(study))) < 2:
        assert job.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    before, output = marks(study), left_by(study)
    assert 2 <= len(ended(before)) < TRIALS and not output.is_complete()
    time.sleep(3)  # workers of the dead driver end
    assert marks(study) == before  # nobody but the driver commits

    printed = study.run("tune")
    assert f"{len(ended(before))} of {TRIALS} trials had ended before, going on" in printed
    after = marks(study)
    assert len(ended(after)) == TRIALS and {name: after[name] for name in before} == before
    points = {name: json.loads(after[name.replace(".asked", "")])["point"] for name in after if ".asked." in name}
    assert points == {name: json.loads(after[name]) for name in points}  # each trial ran the point that was asked for

    manifest, trials = output.manifest(), output.table("trials").to_pandas()
    assert sum(manifest["states"].values()) == TRIALS and manifest["states"]["failed"] == 0
    assert sorted(trials["trial"]) == list(range(TRIALS)) and set(trials["state"]) <= {"finished", "stopped"}
    assert output.table("finals").num_rows == 2 and output.folder.join("study.html").exists()


def test_the_winner_on_s3_is_an_experiment_that_train_takes(study):
    study.run("tune")
    output = left_by(study)
    printed = study.run("train", "-c", output.folder.join("winner.yaml").uri)  # the last of two files counts
    first = output.table("finals").to_pandas().iloc[0]
    assert f"train: {first['direction']}, " in printed and "seed 0, " in printed
    assert f"UAR {100 * first['test_uar']:.1f} % on the test speakers\ntrain: {first['output']}\n" in printed
