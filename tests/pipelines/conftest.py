"""One Ray session and one small sample for all tests of the stages."""

import dataclasses
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipelines import cli
from pipelines.ray_session import ray_session


@pytest.fixture(scope="session")
def ray_cluster():
    """A local Ray cluster of two CPUs that every stage of the tests uses."""
    from agser_core.experiment import RaySettings

    with ray_session(RaySettings()):
        yield


@dataclasses.dataclass(frozen=True)
class Run:
    """An experiment file and how to run stages on it."""

    config: Path
    output: Path

    def stage(self, name: str, *overrides: str, code: int = 0) -> str:
        """Run a stage as the command line does; returns what it printed."""
        result = CliRunner().invoke(cli.main, [name, "-c", str(self.config), *overrides])
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        return result.output


def _write_experiment(folder: Path, corpora: dict, **groups) -> Run:
    output = folder / "run"
    content = {"name": "test", "output": str(output), "corpora": corpora, **groups}
    config = folder / "experiment.yaml"
    config.write_text(yaml.safe_dump(content))
    return Run(config, output)


@pytest.fixture(scope="session")
def write_experiment():
    """A function (folder, corpora, **groups of settings) -> Run that writes an experiment file."""
    return _write_experiment


@pytest.fixture(scope="session")
def sample(ray_cluster, tmp_path_factory) -> Run:
    """Two sample corpora, three speakers each, and an experiment on them with quick settings; nothing is extracted."""
    folder = tmp_path_factory.mktemp("sample")
    run = _write_experiment(
        folder,
        {name: {"adapter": "sample", "path": str(folder / "data" / name)} for name in ("alder", "birch")},
        sample={"folder": str(folder / "data"), "speakers": 3, "sentences": 1},
        split={"groups": 3, "test_groups": 1},
        cluster={"candidates": [3, 4, 5], "restarts": 1},
        analyse={"permutations": 50, "bootstrap": 50},
        train={"epochs": 2, "batch_size": 8, "network": {"width": 32, "feed_forward": 32, "heads": 2}},
        evaluate={"methods": ["none", "ag"], "seeds": [0], "bootstrap": 50},
    )
    run.stage("sample")
    return run


@pytest.fixture(scope="session")
def extracted(sample) -> Run:
    sample.stage("extract")
    return sample
