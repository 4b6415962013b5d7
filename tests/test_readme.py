"""The README speaks of what there is."""

import re
from pathlib import Path

import yaml
from click.testing import CliRunner

from agser_core.corpora import MODULES
from agser_core.experiment import Experiment
from pipelines import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_command_stands_in_the_table_and_explains_itself():
    for name in cli.STAGES:
        assert f"| `agser {name}` |" in README
        result = CliRunner().invoke(cli.main, [name, "--help"])
        assert result.exit_code == 0 and len(result.output) > 150


def test_every_path_and_make_target_exists():
    for path in re.findall(r"`((?:agser_core|docs|tune_configs|pipelines)/[\w/.]*)`", README):
        assert (ROOT / path).exists(), path
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"demo", "test"} <= targets
    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets


def test_adapters_and_experiment_of_the_readme_are_valid():
    named = set(re.findall(r"`(\w+)`", README[README.index("Adapters:") :].split("Phones come")[0]))
    assert named == set(MODULES) - {"sample"}
    experiment = yaml.safe_load(re.search(r"```yaml\n(.*?)```", README, re.S)[1])
    Experiment.model_validate(experiment)


def test_ready_experiments_are_valid():
    files = sorted((ROOT / "tune_configs" / "experiments").glob("*.yaml"))
    assert len(files) >= 3
    for file in files:
        Experiment.model_validate(yaml.safe_load(file.read_text()))


def test_nothing_is_left_to_fill_in():
    assert not re.findall(r"\b[A-Z]{3,}_[A-Z_]{3,}\b", README.replace("RAY_ADDRESS", ""))
