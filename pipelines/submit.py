"""Submit: upload this code and run a stage as a job of a Ray cluster, by `ray job submit`."""

import contextlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click

from agser_core.errors import AgserError
from agser_core.experiment import load_experiment
from pipelines.cli import STAGES
from pipelines.stage import EXIT_ERROR, SAMPLE, say

_ROOT = Path(__file__).parents[1]
_UPLOADED = ("agser_core", "pipelines", "tune_configs", "constraints.txt", "pyproject.toml")
_LAST = ".last-job"
_PAUSES = (2, 4, 8, 16, 30)  # seconds
_REMEDIES = {
    "Failed to connect": "Nothing listens there: leave `make dashboard` running in another terminal, or name the "
    "server with ADDRESS=http://HOST:8265",
    "Authentication": "The token in ~/.ray/auth_token must be the one that the cluster was started with",
    "No available agent": "Another Ray session on the head may have taken its ports",
}


def entrypoint(stage: str, config: str | None, arguments: tuple[str, ...]) -> list[str]:
    """The command that a job runs on the head node."""
    return ["python", "-m", "pipelines.cli", stage, *(["-c", config] if config else []), *arguments]


def files_of(stage: str, config: str, arguments: tuple[str, ...]) -> list[Path]:
    """The file that a stage is given and all files that it names; none where a stage takes none.

    Raises ConfigError for a mistake in them or in the settings: it shows here, in a second.
    """
    settings = tuple(argument for argument in arguments if not argument.startswith("-"))
    if stage == "tune":
        from agser_core.tuning.study import load_study  # with PyTorch, which takes seconds

        return load_study(config, settings).files
    command = importlib.import_module(f"pipelines.{stage}").main
    if not any("--config" in parameter.opts for parameter in command.params):
        return []
    load_experiment(config, settings)
    return [Path(config)]


def gather(folder: Path, files: list[Path]) -> str | None:
    """Copy what a job needs into an empty folder: the code and the experiment files, never data, models or .git.

    files: as `files_of` tells. Returns where the first of them is, relative to the folder.
    """
    for name in _UPLOADED:
        source = _ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(source, folder / name)
    if not files:
        return None
    found = [file.resolve() for file in files]
    if all(file.is_relative_to(_ROOT / "tune_configs") for file in found):
        return str(found[0].relative_to(_ROOT))
    above = os.path.commonpath([file.parent for file in found])  # they name each other by relative paths
    places = [folder / "experiment" / file.relative_to(above) for file in found]
    for file, place in zip(found, places, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    return str(places[0].relative_to(folder))


def runtime_environment(install: bool) -> dict:
    """What Ray prepares on every node before the job.

    A relative path of the experiment means the one seen from where the job was submitted, on every node. install: the
    packages too, as constraints.txt pins them, for nodes that lack them.
    """
    environment = {"env_vars": {"AGSER_ROOT": os.getcwd()}}
    if install:
        project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
        constraints = "-c ${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}/constraints.txt"
        environment["pip"] = [constraints, *(line for line in project["dependencies"] if not line.startswith("ray["))]
    return environment


@click.command("submit", context_settings={"ignore_unknown_options": True})
@click.argument("stage", type=click.Choice(list(STAGES)))
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE | OPTION]...")
@click.option("-c", "--config", default=str(SAMPLE), metavar="FILE", help="Experiment or study. Default: the sample's.")
@click.option("--address", default="http://127.0.0.1:8265", help="The job server. Default: port 8265 here.")
@click.option("--no-wait", is_flag=True, help="Return at once; `make logs` shows what the job says.")
@click.option("--install", is_flag=True, help="Install the pinned packages on nodes whose image lacks them: minutes.")
@click.option("--limit-mb", default=20.0, help="Refuse an upload above so many MB. Default: 20.")
def main(
    stage: str, arguments: tuple[str, ...], config: str, address: str, no_wait: bool, install: bool, limit_mb: float
):
    """Run a STAGE on a Ray cluster as a job.

    Further arguments are the stage's: settings, options such as --price-per-hour=0.05, files. Uploads this code, so
    that the cluster runs what you have here. The same command again resumes: a stage does only what is missing. The
    exit code is 1 where the job failed, 2 for an error in what you asked for.
    """
    try:
        given = files_of(stage, config, arguments)
        sys.exit(_submit(stage, given, arguments, address, no_wait, install, limit_mb))
    except AgserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_ERROR)


def _submit(stage, given, arguments, address, no_wait, install, limit_mb) -> int:
    with tempfile.TemporaryDirectory(prefix="agser-") as folder:
        there = gather(Path(folder), given)
        files = [file for file in Path(folder).rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files) / 1e6
        if size > limit_mb:
            largest = max(files, key=lambda file: file.stat().st_size)
            raise AgserError(
                f"the upload would be {size:.1f} MB, more than --limit-mb={limit_mb:g}; its largest file is "
                f"{largest.relative_to(folder)}. Data and models belong on storage that every node sees"
            )
        job = f"agser-{stage}-{time.strftime('%Y%m%d-%H%M%S')}"
        say(f"submit: {job}, upload {size:.1f} MB in {len(files)} files; relative paths mean {os.getcwd()}/...")
        options = ["--address", address, "--working-dir", folder, "--submission-id", job]
        options += ["--runtime-env-json", json.dumps(runtime_environment(install)), *(["--no-wait"] if no_wait else [])]
        ray = Path(sys.executable).with_name("ray")
        with _named_last(job):
            return _ray_job([ray, "job", "submit", *options, "--", *entrypoint(stage, there, arguments)], address)


@contextlib.contextmanager
def _named_last(job: str) -> Iterator[None]:
    """Name the job for `make logs` and `make stop-job` at once: whoever waits for it may be interrupted, and the job
    goes on. What did not come to be is not named."""
    last = Path(_LAST)
    before = last.read_text() if last.exists() else None
    last.write_text(job)
    try:
        yield
    except AgserError:
        last.unlink() if before is None else last.write_text(before)
        raise


def _ray_job(command: list, address: str) -> int:
    """The exit code of `ray job submit`: that of the job. Repeated while the head, just started, takes no jobs yet.

    Raises AgserError where the job did not come to be, with the last words of Ray and what can be done.
    """
    for pause in (*_PAUSES, None):
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if "Traceback (most recent call last)" not in done.stderr:
            click.echo(done.stderr, err=True, nl=False)
            return done.returncode
        if "No available agent" not in done.stderr or pause is None:
            break
        say(f"submit: the head takes no jobs yet, again in {pause} s")
        time.sleep(pause)
    said = re.split(r"\n(?:\w+\.)*\w+(?:Error|Exception): ", done.stderr)[-1].strip()
    reason = said.splitlines()[0] if said else "it refused the job without a word."
    remedy = next((words for mark, words in _REMEDIES.items() if mark in reason), "docs/troubleshooting.md may help")
    raise AgserError(f"the job server at {address}: {reason} {remedy}")


if __name__ == "__main__":
    main()
