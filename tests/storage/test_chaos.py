"""Nodes, drivers, workers and clips that fail in the middle: every clip once, in the tables or in the errors."""

import signal
import time

import pytest
from jobs import Jobs, every_clip_once

import pipelines  # noqa: F401  (sets what Ray reads when it is imported)
from agser_core.errors import AgserError

pytestmark = pytest.mark.slow

ONE_BY_ONE = "extract.clips_per_unit=1"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    """A generated corpus of twelve clips."""
    folder = tmp_path_factory.mktemp("chaos")
    jobs = Jobs.of(folder, str(folder / "data"), str(folder / "run"), ("alder",))
    jobs.run("sample")
    return str(folder / "data")


@pytest.fixture
def jobs(data, tmp_path) -> Jobs:
    return Jobs.of(tmp_path, data, str(tmp_path / "run"), ("alder",))


def test_a_driver_killed_at_a_quarter(jobs):
    job = jobs.start("extract", ONE_BY_ONE, faults="slow:0.5")
    jobs.wait_for_marks("alder", 3)
    job.send_signal(signal.SIGKILL)
    job.wait()
    job.stdout.close()
    time.sleep(3)  # what the dead driver's workers still commit belongs to the first run
    before = jobs.marks("alder")
    assert 3 <= len(before) < 12
    with pytest.raises(AgserError, match="no finished output"):
        jobs.output("alder").manifest()
    printed = jobs.run("extract", ONE_BY_ONE)
    assert "12/12 clips" in printed
    after = jobs.marks("alder")
    assert {name: after[name] for name in before} == before and len(after) == 12
    assert every_clip_once(jobs, "alder") == {}


def test_a_clip_that_aborts_and_one_that_hangs(jobs):
    faults = "abort:alder-01-neutral-1 hang:alder-02-anger-1"
    printed = jobs.run("extract", "extract.clip_seconds_limit=20", "extract.failure_budget=0.5", faults=faults)
    errors = every_clip_once(jobs, "alder")
    assert {clip: row["error_class"] for clip, row in errors.items()} == {
        "alder-01-neutral-1": "crash",
        "alder-02-anger-1": "timeout",
    }
    assert "1 x crash" in printed and "1 x timeout" in printed and "SIGABRT" in printed
    settled = jobs.run("extract", "extract.clip_seconds_limit=20", "extract.failure_budget=0.5")
    assert "were done before, nothing to do" in settled
    raised = jobs.run("extract", "extract.clip_seconds_limit=60", "ray.extract_memory_gb=1.6")
    assert "12/12 clips" in raised and every_clip_once(jobs, "alder") == {}


def test_a_worker_killed_between_each_pair_of_commit_steps(jobs, tmp_path):
    """A worker dies before each table and before the mark of a unit, once each; then the driver before the manifest."""
    once = tmp_path / "once"
    once.mkdir()
    steps = ("/clips/", "/segments/", "/tracks/", "/phone_vectors/", "/units/", "manifest.json")
    job = jobs.start("extract", ONE_BY_ONE, faults=" ".join(f"die:{step}:{once}" for step in steps))
    printed, _ = job.communicate(timeout=240)
    assert job.returncode == -signal.SIGKILL, printed
    assert len(list(once.iterdir())) == len(steps)
    with pytest.raises(AgserError, match="no finished output"):
        jobs.output("alder").manifest()
    assert len(jobs.marks("alder")) == 12
    jobs.run("extract", ONE_BY_ONE)
    assert every_clip_once(jobs, "alder") == {}


def test_a_node_lost_in_the_middle(jobs):
    """Three nodes of one CPU each; one goes while it works."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        lost = cluster.add_node(num_cpus=1)
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        jobs.environment["RAY_ADDRESS"] = cluster.address
        checked = jobs.run("check")
        assert "check: 3 nodes, 2 locations, all well" in checked
        job = jobs.start("extract", ONE_BY_ONE, "ray.extract_workers=3", "ray.extract_memory_gb=0.5", faults="slow:1")
        jobs.wait_for_marks("alder", 2)
        cluster.remove_node(lost, allow_graceful=False)
        printed, _ = job.communicate(timeout=240)
        assert job.returncode == 0, printed
    finally:
        cluster.shutdown()
    assert every_clip_once(jobs, "alder") == {} and len(jobs.marks("alder")) == 12
