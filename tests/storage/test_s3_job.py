"""The whole sample job on S3: reads from it, writes to it, goes on there, survives overload and a revoked key."""

import signal

import pytest
from jobs import Jobs, every_clip_once
from s3_server import BUCKET

from agser_core.storage import Location

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def jobs(server, tmp_path_factory) -> Jobs:
    return Jobs.on_s3(server, tmp_path_factory.mktemp("s3"), "job", "sample")


def test_extraction_under_overload_goes_on_after_a_kill(jobs, server, sign_in):
    sign_in()
    server.every, refused = 9, server.refused
    job = jobs.start("extract", "extract.clips_per_unit=2")
    jobs.wait_for_marks("alder", 2)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    before = jobs.marks("alder")
    printed = jobs.run("extract", "extract.clips_per_unit=2")
    server.every = 0
    assert "12/12 clips" in printed and server.refused > refused + 10
    assert {name: mark for name, mark in jobs.marks("alder").items() if name in before} == before
    assert every_clip_once(jobs, "alder") == every_clip_once(jobs, "birch") == {}


def test_every_further_stage(jobs, server, sign_in):
    sign_in()
    printed = jobs.run("run")
    assert printed.count("were done before, nothing to do") == 2 and "UAR" in printed
    page = Location.parse(f"s3://{BUCKET}/job/run/report.html").read_text()
    assert "alder" in page and "adjusted Rand index" in page
    assert "all well" in jobs.run("check")


def test_a_key_revoked_in_the_middle(jobs, server, sign_in):
    """The stage ends with the reason; with a valid key the same command does the rest."""
    mine, secret = server.new_key()
    sign_in(mine, secret)
    key, its_secret = server.new_key()
    server.mind_who_asks()
    jobs.environment.update(server.environment(key, its_secret))
    jobs.config.write_text(jobs.config.read_text() + "extract: {mouth: {origin: eyes}, clips_per_unit: 1}\n")
    job = jobs.start("extract", faults="slow:0.5")
    jobs.wait_for_marks("alder", 2)
    server.delete_key(key, mine, secret)
    printed, _ = job.communicate(timeout=120)
    assert job.returncode == 2, printed
    assert "denied" in printed and "the access key is unknown, revoked" in printed and "Traceback" not in printed
    refused = jobs.run("check", code=2)
    assert "write REFUSED" in refused and "the access key is unknown, revoked" in refused
    before = jobs.marks("alder")
    jobs.environment.update(server.environment(mine, secret))
    jobs.run("extract")
    assert {name: mark for name, mark in jobs.marks("alder").items() if name in before} == before
    assert every_clip_once(jobs, "alder") == {}
