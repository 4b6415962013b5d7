"""The command line in processes of its own, so that a test can kill them, choose their environment and their faults."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from s3_server import BUCKET, Server

from agser_core import corpora
from agser_core.chain import extract_output
from agser_core.experiment import load_experiment
from agser_core.outputs import StageOutput

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "tests" / "pipelines" / "faults"
SMALL = {
    "sample": {"speakers": 3, "sentences": 1},
    "split": {"groups": 3, "test_groups": 1},
    "cluster": {"candidates": [3, 4, 5], "restarts": 1},
    "analyse": {"permutations": 50, "bootstrap": 50},
    "train": {"epochs": 2, "batch_size": 8, "network": {"width": 32, "feed_forward": 32, "heads": 2}},
    "evaluate": {"methods": ["none", "ag"], "seeds": [0], "bootstrap": 50},
}


@dataclass
class Jobs:
    """An experiment file whose stages run as commands. environment: beyond this process' own."""

    config: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, data: str, output: str, names: tuple[str, ...], **environment: str) -> "Jobs":
        """An experiment with quick settings on generated corpora below `data`."""
        content = {
            "name": "test",
            "output": output,
            "corpora": {name: {"adapter": "sample", "path": f"{data}/{name}"} for name in names},
            **SMALL,
            "sample": {**SMALL["sample"], "folder": data},
        }
        config = folder / "experiment.yaml"
        config.write_text(yaml.safe_dump(content))
        return cls(config, environment)

    @classmethod
    def on_s3(cls, server: Server, folder: Path, name: str, *stages: str) -> "Jobs":
        """An experiment on two generated corpora, all of it on S3 below `name`, after these stages."""
        place = f"s3://{BUCKET}/{name}"
        jobs = cls.of(folder, f"{place}/data", f"{place}/run", ("alder", "birch"), **server.environment())
        for stage in stages:
            jobs.run(stage)
        return jobs

    def start(self, stage: str, *overrides: str, faults: str = "") -> subprocess.Popen:
        """Start a stage; faults: see faults/sitecustomize.py."""
        path = os.pathsep.join([str(FAULTS), str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, **self.environment, "PYTHONPATH": path, "AGSER_TEST_FAULTS": faults}
        command = [sys.executable, "-m", "pipelines.cli", stage, "-c", str(self.config), *overrides]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, env=environment, cwd=self.config.parent, **pipes)

    def run(self, stage: str, *overrides: str, faults: str = "", code: int = 0) -> str:
        """Run a stage to its end; returns what it printed."""
        job = self.start(stage, *overrides, faults=faults)
        printed, _ = job.communicate(timeout=600)
        assert job.returncode == code, printed
        return printed

    def output(self, corpus: str) -> StageOutput:
        return extract_output(load_experiment(str(self.config)), corpus)

    def marks(self, corpus: str) -> dict[str, bytes]:
        """The commit marks so far, by name."""
        return {file.name: file.read_bytes() for file in self.output(corpus).folder.join("units").list()}

    def wait_for_marks(self, corpus: str, count: int, seconds: float = 300) -> dict[str, bytes]:
        end = time.monotonic() + seconds
        while len(marks := self.marks(corpus)) < count:
            assert time.monotonic() < end, f"{len(marks)} marks after {seconds} s"
            time.sleep(0.1)
        return marks


def every_clip_once(jobs: Jobs, corpus: str) -> dict[str, dict]:
    """Assert that each clip of the corpus is in the tables or in the errors, once; the rows of errors by clip."""
    experiment, output = load_experiment(str(jobs.config)), jobs.output(corpus)
    source = experiment.corpora[corpus]
    wanted = sorted(clip.clip_id for clip in corpora.read(source.adapter, source.path).clips)
    clips, segments = output.table("clips").to_pandas(), output.table("segments").to_pandas()
    vectors, errors = output.table("phone_vectors").to_pandas(), output.table("errors").to_pylist()
    assert sorted([*clips["clip_id"], *(row["clip_id"] for row in errors)]) == wanted
    assert (
        set(segments["clip_id"]) == set(clips["clip_id"]) == set(output.table("tracks").column("clip_id").to_pylist())
    )
    assert not segments.duplicated(["clip_id", "position"]).any()
    key = ["clip_id", "position"]
    assert segments[key].sort_values(key, ignore_index=True).equals(vectors[key].sort_values(key, ignore_index=True))
    return {row["clip_id"]: row for row in errors}
