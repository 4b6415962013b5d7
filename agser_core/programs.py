"""Run another program on a clip's files: found or explained, within a time limit, its faults told apart."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence

from agser_core.errors import AgserError, ClipError


def find_program(name: str, what: str, remedy: str) -> str:
    """The path of a program by name or path. Raises AgserError that says how to get it where it is not."""
    path = shutil.which(os.path.expanduser(name))
    if path is None:
        raise AgserError(f"{what} is not installed here: there is no program {name!r}. {remedy}")
    return path


def run_program(command: Sequence[str], seconds: float, error_class: str) -> None:
    """Run a program to its end. What it prints is kept for the message only.

    Raises ClipError of the class where it fails, and of the class "timeout" where it takes longer than `seconds`; it is
    ended then, with all that it started.
    """
    name = os.path.basename(command[0])
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            printed, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise ClipError(
                f"{name} was still at work after {seconds:g} s and was ended",
                remedy="if the clip is sound and only long, raise extract.clip_seconds_limit, which tries it again",
                error_class="timeout",
            ) from None
    if process.returncode:
        lines = printed.decode(errors="replace").strip().splitlines()
        said = " / ".join(line.strip() for line in lines[-3:]) or "nothing"
        raise ClipError(
            f"{name} ended with the exit code {process.returncode}; its last words: {said}",
            remedy=f"run it by hand: {' '.join(command)}",
            error_class=error_class,
        )
