"""A training worker and the driver killed in the middle: Ray Train goes on to the same losses, here and on S3."""

import signal
import time

import pytest
from jobs import Jobs

from agser_core.chain import train_output
from agser_core.experiment import load_experiment
from agser_core.storage import Location

pytestmark = pytest.mark.slow

EPOCHS = "train.epochs=6"
#: The same fit under another name: with patience that never runs out, so that its output is another folder.
AGAIN, ON_S3 = "train.patience=50", "train.patience=60"


@pytest.fixture(scope="module")
def jobs(server, tmp_path_factory) -> Jobs:
    """Two generated corpora on S3, extracted and clustered there."""
    return Jobs.on_s3(server, tmp_path_factory.mktemp("train"), "train", "sample", "extract", "cluster")


@pytest.fixture
def whole(jobs, signed_in) -> list[float]:
    """The losses of a training that nothing stopped; after the first time the stage is done before."""
    jobs.run("train", EPOCHS)
    return losses(jobs)


def losses(jobs: Jobs, *overrides: str) -> list[float]:
    output = train_output(load_experiment(str(jobs.config), (EPOCHS, *overrides)))
    return output.table("history")["loss"].to_pylist()


def folder_of(jobs: Jobs, kind: str, *overrides: str) -> Location:
    """Where Ray keeps the checkpoints of a training, or TensorBoard's files lie."""
    output = train_output(load_experiment(str(jobs.config), (EPOCHS, *overrides)))
    return output.folder.parent.join(kind, output.folder.name)


@pytest.fixture(autouse=True)
def signed_in(sign_in):
    sign_in()


def test_every_epoch_leaves_a_checkpoint_and_its_figures_on_s3(jobs, whole):
    checkpoints = [folder for folder in folder_of(jobs, "ray").folders() if folder.name.startswith("checkpoint_")]
    assert len(whole) == len(checkpoints) == 6
    assert all(folder.join("state.pt").exists() for folder in checkpoints)
    assert [file.name.startswith("events.out") for file in folder_of(jobs, "tensorboard").list()] == [True]


def test_a_worker_killed_in_the_middle(jobs, whole, tmp_path):
    jobs.run("train", EPOCHS, AGAIN, faults=f"epoch:3:{tmp_path}")
    assert (tmp_path / "epoch3").exists()
    assert losses(jobs, AGAIN) == whole


def test_a_driver_killed_in_the_middle(jobs, whole, tmp_path):
    job = jobs.start("train", EPOCHS, ON_S3, faults=f"epoch:99:{tmp_path} slow:1")
    checkpoints, end = folder_of(jobs, "ray", ON_S3), time.monotonic() + 120
    while not [folder for folder in checkpoints.folders() if folder.join("state.pt").exists()]:
        assert job.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    assert not train_output(load_experiment(str(jobs.config), (EPOCHS, ON_S3))).is_complete()
    time.sleep(3)  # what the dead driver's workers still store belongs to the first run
    done = len([folder for folder in checkpoints.folders() if folder.name.startswith("checkpoint_")])
    assert 1 <= done < 6
    jobs.run("train", EPOCHS, ON_S3)
    assert losses(jobs, ON_S3) == whole
