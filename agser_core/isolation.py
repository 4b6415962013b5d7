"""A clip extractor in a process of its own: native code that crashes or hangs there costs one clip, not the job.

    parent                                child: python -m agser_core.isolation
    IsolatedExtractor.extract(clips)  ->  ClipExtractor.extract(clips)
                                      <-  ("working", clip ids): the clock of the time limit starts
                                      <-  ("working", []): storage is waited for, no limit
                                      <-  ("done", unit, peak memory, CPU seconds) or ("failed", error)

A child that dies or works too long is replaced. The clips of its unit are then extracted one by one, and a clip that
ends two children becomes a row of errors of the class "crash" or "timeout".
"""

import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from agser_core.corpora.clip import Clip
from agser_core.errors import AgserError, ClipError
from agser_core.experiment import ExtractSettings
from agser_core.extraction import ClipExtractor, Unit, error_row
from agser_core.outputs import peak_memory

_TRIES = 2


class ChildLost(Exception):
    """The child ended, or was ended, while it worked on `clips`."""

    def __init__(self, fault: ClipError, clips: list[str]):
        super().__init__(fault.reason)
        self.fault, self.clips = fault, clips


class IsolatedExtractor:
    """Has the surface of ClipExtractor and runs one in a child process, which is replaced after
    `settings.recycle_after` clips, so that what native code leaks is given back.

    peak_memory_bytes: the largest resident size of any child so far. cpu_seconds: what the children have spent on the
    units that they gave back.
    """

    def __init__(self, settings: ExtractSettings):
        self.settings, self.peak_memory_bytes, self.cpu_seconds = settings, 0, 0.0
        self._start()

    def extract(self, clips: list[Clip]) -> Unit:
        """Extract clips as ClipExtractor does. Raises what it raises beyond a clip's faults."""
        tries: Counter = Counter()
        try:
            return self._ask(clips)
        except ChildLost as lost:
            if len(lost.clips) == 1:
                tries[lost.clips[0]] += 1
        return Unit.joined([self._extract_alone(clip, tries[clip.clip_id]) for clip in clips])

    def close(self) -> None:
        """End the child."""
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _extract_alone(self, clip: Clip, tries: int) -> Unit:
        while True:
            try:
                return self._ask([clip])
            except ChildLost as lost:
                tries += 1
                if tries >= _TRIES:
                    return Unit.of({"errors": [error_row(clip, "isolated process", lost.fault)]}, {})

    def _ask(self, clips: list[Clip]) -> Unit:
        """One unit through the child. Raises ChildLost, after a new child was started."""
        if self._extracted >= self.settings.recycle_after:
            self._restart()
        working: list[str] = []
        try:
            self._connection.send(clips)
            while True:
                limit = self.settings.clip_seconds_limit * len(working) or None
                if not self._connection.poll(limit):
                    raise self._too_long(limit, working)
                kind, *content = self._connection.recv()
                if kind == "working":
                    (working,) = content
                elif kind == "failed":
                    raise content[0]
                else:
                    unit, peak, cpu_seconds = content
                    self.peak_memory_bytes = max(self.peak_memory_bytes, peak)
                    self.cpu_seconds += cpu_seconds
                    self._extracted += len(clips)
                    return unit
        except (EOFError, ConnectionError):
            lost = ChildLost(_crash(self._process.wait()), working)
            self._restart()
            raise lost from None

    def _too_long(self, limit: float, working: list[str]) -> ChildLost:
        self._restart()
        reason = f"it was still being worked on after {limit:g} s and was given up"
        remedy = (
            "try the clip in a player; if it is sound and only long, run the same command with a higher "
            "extract.clip_seconds_limit, which tries it again"
        )
        return ChildLost(ClipError(reason, remedy=remedy, error_class="timeout"), working)

    def _restart(self) -> None:
        self.close()
        self._start()

    def _start(self) -> None:
        self._connection, theirs = Pipe()
        command = [sys.executable, "-m", "agser_core.isolation", str(theirs.fileno())]
        # What this process can import the child can too: Ray adds its working directory to sys.path only.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
        theirs.close()
        self._extracted = 0
        try:
            self._connection.send(self.settings)
            kind, content = self._connection.recv()
        except (EOFError, ConnectionError):
            fault = _crash(self._process.wait())
            raise AgserError(f"the tracker, the aligner or the encoder can't be loaded: {fault.reason}") from None
        if kind == "failed":
            self.close()
            raise content
        self.vector_shape, self.encoder_name, self.pretrained = content


def _crash(code: int) -> ClipError:
    """What the exit code of a child tells."""
    if code == -signal.SIGKILL:
        reason = "its process was killed, most likely because memory ran out"
        remedy = "run the same command with a higher ray.extract_memory_gb, which tries it again"
    else:
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        reason = f"native code ended its process ({how}) while a decoder, the tracker or the encoder was at work"
        remedy = "try the clip in a player, export it again"
    return ClipError(reason, remedy=remedy, error_class="crash")


def _serve(connection: Connection) -> None:
    """The child: load once, then extract what comes until the parent is gone."""
    try:
        extractor = ClipExtractor(connection.recv())
    except AgserError as error:
        connection.send(("failed", error))
        return
    connection.send(("ready", (extractor.vector_shape, extractor.encoder.name, extractor.encoder.pretrained)))
    while True:
        try:
            clips = connection.recv()
        except EOFError:
            return
        try:
            before = time.process_time()
            unit = extractor.extract(clips, working=lambda clip_ids: connection.send(("working", clip_ids)))
            connection.send(("done", unit, _peak_memory(), time.process_time() - before))
        except Exception as error:
            connection.send(("failed", _sendable(error)))


def _peak_memory() -> int:
    """The largest resident size of this process, in bytes. Linux counts its parent's into getrusage's figure."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else peak_memory()


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


def _leave_with_the_parent() -> None:
    """Native code may keep the child busy for ever after its parent was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the job, which ends its children
    _leave_with_the_parent()
    _serve(Connection(int(sys.argv[1])))
