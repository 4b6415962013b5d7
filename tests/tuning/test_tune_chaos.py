"""Trials and drivers that fail in the middle of a study: every trial is accounted for, the CPUs come back."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pipelines  # noqa: F401  (sets what Ray reads when it is imported)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "tests" / "tuning" / "faulty_study.py"), str(folder), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(folder: Path, *arguments: str) -> str:
    job = start(folder, *arguments)
    printed, _ = job.communicate(timeout=420)
    assert job.returncode == 0, printed
    return printed


def outcomes(printed: str) -> dict[int, str]:
    return {int(number): words for number, words in re.findall(r"^trial (\d+) (.*)$", printed, re.M)}


def tries(folder: Path) -> dict[int, int]:
    numbers = [int(name.split(".")[0]) for name in os.listdir(folder / "tries")]
    return {number: numbers.count(number) for number in sorted(set(numbers))}


def marks(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "trials").glob("????.json")}


def wait_for_marks(folder: Path, count: int, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while len(marks(folder)) < count:
        assert time.monotonic() < end, f"{len(marks(folder))} marks after {seconds} s"
        time.sleep(0.1)


def test_trials_that_raise_hang_eat_memory_and_die(tmp_path):
    printed = run(tmp_path, "--trials", "8", "--faults", "1:raise,2:hang,4:eat,5:die,6:once")
    found = outcomes(printed)
    assert sorted(found) == list(range(8)) and "CPUs given back: True" in printed
    for number in (0, 3, 7):
        assert found[number].strip() == "finished"
    for number, words in ((1, "a setting that can't be"), (2, "time limit"), (4, "memory limit"), (5, "worker lost")):
        assert found[number].startswith("failed") and found[number].count(words) == 2, found[number]
    assert found[6].startswith("finished worker lost")
    assert tries(tmp_path) == {0: 1, 1: 2, 2: 2, 3: 1, 4: 2, 5: 2, 6: 2, 7: 1}
    assert "8/8 trials (4 finished, 0 stopped, 4 failed)" in printed


def test_a_driver_killed_in_the_middle(tmp_path):
    job = start(tmp_path, "--trials", "10", "--pause", "0.5")
    wait_for_marks(tmp_path, 3)
    job.send_signal(signal.SIGKILL)
    job.wait()
    job.stdout.close()
    before = marks(tmp_path)
    assert 3 <= len(before) < 10
    asked = {file.name: json.loads(file.read_text()) for file in (tmp_path / "trials").glob("*.asked.json")}
    printed = run(tmp_path, "--trials", "10")
    assert f"{len(before)} of 10 trials had ended before" in printed
    assert all(words.strip() == "finished" for words in outcomes(printed).values()) and len(outcomes(printed)) == 10
    after = marks(tmp_path)
    assert {name: after[name] for name in before} == before
    points = {name: json.loads(mark)["point"] for name, mark in after.items()}
    assert all(points[name.replace(".asked", "")] == point for name, point in asked.items())
    ended = {int(name.split(".")[0]) for name in before}
    assert all(count == 1 for number, count in tries(tmp_path).items() if number in ended)
