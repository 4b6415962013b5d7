"""Every stage through the job server, from an empty environment: a fresh checkout, a fresh installation."""

import contextlib
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

SMALL = {
    "name": "small",
    "output": "runs/small",
    "corpora": {name: {"adapter": "sample", "path": f"data/small/{name}"} for name in ("alder", "birch")},
    "sample": {"folder": "data/small", "speakers": 3, "sentences": 1},
    "split": {"groups": 3, "test_groups": 1},
    "cluster": {"n_clusters": 4, "restarts": 1},
    "analyse": {"permutations": 50, "bootstrap": 50},
    "train": {"epochs": 2, "batch_size": 8, "network": {"width": 32, "feed_forward": 32, "heads": 2}},
    "evaluate": {"methods": ["none", "ag"], "seeds": [0], "bootstrap": 50},
    "extract": {"clips_per_unit": 1},
}
STUDY = {
    "name": "small",
    "experiment": "small.yaml",
    "space": {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}},
    "trials": 2,
    "seeds": [0],
    "final_seeds": [0],
    "objective": "infomax",
}
SAYS = {
    "sample": "sample: 24 clips",
    "extract": "extract birch: 12 clips",
    "cluster": "cluster: fold 0",
    "analyse": "share gestures to",
    "train": "alder->birch, ag, seed 0",
    "evaluate": "evaluate: 6/6 fits",
    "tune": "tune: winner: trial",
    "report": "report.html",
    "export": "test clips with aligned phones",
    "card": "cards/alder.md",
    "check": "all well",
}


@pytest.fixture(scope="module")
def server(checkout, tmp_path_factory):
    """`ray start --head` of that installation, on ports of its own."""
    with contextlib.ExitStack() as kept:
        ports = [str(kept.enter_context(free_port())) for _ in range(4)]
    (checkout.folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    (checkout.folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    ray = checkout.folder / ".venv" / "bin" / "ray"
    subprocess.run([ray, "get-auth-token", "--generate"], env=checkout.environment, check=True, capture_output=True)
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        head = [ray, "start", "--head", "--block", "--num-cpus=2", f"--temp-dir={folder}", "--disable-usage-stats"]
        options = ("--port", "--dashboard-port", "--dashboard-agent-listen-port", "--ray-client-server-port")
        head += [f"{option}={port}" for option, port in zip(options, ports, strict=True)]
        with open(Path(folder) / "head.log", "w") as log:
            head += ["--object-store-memory=300000000"]
            process = subprocess.Popen(head, env=checkout.environment, cwd=folder, stdout=log, stderr=log)
        checkout.address = f"http://127.0.0.1:{ports[1]}"
        try:
            trial = [ray, "job", "submit", "--address", checkout.address, "--", "true"]  # fails until an agent is up
            quiet = {"env": checkout.environment, "capture_output": True}
            wait_until(lambda: subprocess.run(trial, **quiet).returncode == 0, 180)
            yield checkout
        finally:
            process.terminate()
            process.wait(60)


@contextlib.contextmanager
def free_port():
    """A port that nobody has; the usual ones may belong to another Ray of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


def wait_until(condition, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.5)


def test_every_stage_runs_as_a_job(server):
    for stage, words in SAYS.items():
        printed = server.make("submit", f"STAGE={stage}", *(["CONFIG=study.yaml"] if stage == "tune" else []))
        assert words in printed and "succeeded" in printed and "Traceback" not in printed, printed
    assert (server.folder / "runs" / "small" / "report.html").exists()


def test_a_bundle_predicts_as_a_job(server):
    (bundle,) = server.folder.glob("runs/small/bundle/*")
    files = f"{bundle.relative_to(server.folder)} data/small/birch/video/birch-01-anger-1.mp4"
    printed = server.make("submit", "STAGE=predict", f"SET={files}")
    assert "birch-01-anger-1" in printed and "succeeded" in printed, printed


def test_the_whole_chain_submitted_again_does_nothing(server):
    files = {file: file.stat().st_mtime_ns for file in server.folder.glob("runs/small/[ect]*/**/*.parquet")}
    printed = server.make("submit", "STAGE=run")
    assert printed.count("nothing to do") >= 5 and "succeeded" in printed
    assert {file: file.stat().st_mtime_ns for file in server.folder.glob("runs/small/[ect]*/**/*.parquet")} == files


def test_logs_tell_what_the_last_job_said(server):
    assert "evaluate: done before, nothing to do" in server.make("logs")
    assert "SUCCEEDED" in server.make("jobs")


def test_a_stopped_job_submitted_again_resumes(server):
    changed = "SET=extract.mouth.origin=eyes"
    known = set(server.folder.glob("runs/small/extract/alder/*"))
    server.make("submit", "STAGE=extract", changed, "OPTIONS=--no-wait")
    wait_until(lambda: set(server.folder.glob("runs/small/extract/alder/*")) - known, 120)
    (output,) = set(server.folder.glob("runs/small/extract/alder/*")) - known
    wait_until(lambda: len(list(output.glob("units/*.json"))) >= 3, 120)
    assert "stopped" in server.make("stop-job")
    done = {file: file.stat().st_mtime_ns for file in output.glob("units/*.json")}
    assert 3 <= len(done) < 12 and not (output / "manifest.json").exists()
    assert "12/12 clips" in server.make("submit", "STAGE=extract", changed)
    assert {file: file.stat().st_mtime_ns for file in output.glob("units/*.json") if file in done} == done
    assert len(list(output.glob("units/*.json"))) == 12


def test_failures_read_well(server):
    printed = server.make("submit", "STAGE=extract", "SET=corpora.alder.path=/no/such/corpus", code=2)
    assert "error: " in printed and "/no/such/corpus" in printed and "failed" in printed and "Traceback" not in printed
    assert "did you mean 'speech'?" in server.make("submit", "SET=extract.sppech=1", code=2)
    assert "more than --limit-mb=0.1" in server.make("submit", "OPTIONS=--limit-mb=0.1", code=2)
