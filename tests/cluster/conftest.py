import copy
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import pipelines  # noqa: F401  (sets what Ray reads when it is imported)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def launcher_file() -> dict:
    """cluster.yaml as `ray up` reads it."""
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


@pytest.fixture(scope="session")
def google_file(launcher_file) -> dict:
    """cluster.yaml with the keys of Google Cloud that stand in its last comment."""
    comment = re.findall(r"^# ?(.*)$", (ROOT / "cluster.yaml").read_text().rsplit("\n\n", 1)[1], re.M)
    changed = yaml.safe_load("\n".join(comment[comment.index("") :]))
    return {**copy.deepcopy(launcher_file), **changed}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home folder with a token and nothing else."""
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def short_folder():
    """A folder for Ray's sockets, whose paths may have 107 characters at the most."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """A function (name, prints) that puts a command on PATH which writes its arguments down, for `calls()` to tell."""
    folder, calls = tmp_path / "stubs", tmp_path / "calls"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name: str, prints: str = "") -> None:
        file = folder / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\necho "{prints}"\n')
        file.chmod(0o755)

    make.calls = lambda: calls.read_text().splitlines() if calls.exists() else []
    return make


@dataclass
class Checkout:
    """A fresh checkout with its own installation. environment: all that its commands see."""

    folder: Path
    environment: dict[str, str]
    address: str = ""

    def make(self, *arguments: str, code: int = 0) -> str:
        """What a target of make prints. Fails where its exit code is another one than `code`."""
        settings = ["CONFIG=small.yaml", f"ADDRESS={self.address}"]
        done = subprocess.run(
            ["make", "-s", *settings, *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=900,
        )
        assert done.returncode == code, done.stdout
        return done.stdout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Checkout:
    """An installation from nothing; takes minutes."""
    folder = tmp_path_factory.mktemp("fresh") / "agser"
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    if (pip := Path.home() / ".config" / "pip" / "pip.conf").exists():
        kept["PIP_CONFIG_FILE"] = str(pip)  # where packages come from is the machine's, not the environment's
    path = f"{folder}/.venv/bin:/usr/local/bin:/usr/bin:/bin"
    environment = {**kept, "HOME": str(folder.parent), "PATH": path, "LANG": "C.UTF-8", "RAY_AUTH_MODE": "token"}
    fresh = Checkout(folder, environment)
    fresh.make("setup", f"PYTHON={sys.executable}")
    return fresh
