"""What a long fit remembers, so that the same command goes on where it broke off."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable

import numpy as np

from agser_core.gestures.lloyd import Fit, Progress
from agser_core.storage import Location


class FitLog:
    """The finished runs of a fit and the last pass of the running one, kept in a file.

    A run is named by its number of clusters and its start, such as "8/0". Numbers are kept to the last bit, so a fit
    that goes on ends in the same centroids as one that was never broken off. By default nothing is kept.

    Args:
        file: where; what it holds is taken over. seconds: between two writings, and between two reports, at least.
        report: called with a line on the last pass.
    """

    def __init__(
        self, file: Location | None = None, seconds: float = 2.0, report: Callable[[str], None] = lambda line: None
    ) -> None:
        self.file, self.seconds, self.report = file, seconds, report
        stored = json.loads(file.read_text()) if file is not None and file.exists() else {}
        self._finished = {run: _restored(Fit, fit) for run, fit in stored.get("finished", {}).items()}
        self._running = {run: _restored(Progress, progress) for run, progress in stored.get("running", {}).items()}
        self._passed = self._written = time.monotonic()

    def finished(self, run: str) -> Fit | None:
        """The result of a run that is done."""
        return self._finished.get(run)

    def running(self, run: str) -> Progress | None:
        """The last pass known of a run that broke off."""
        return self._running.get(run)

    def passed(self, run: str, progress: Progress) -> None:
        """Takes note of a pass over all segments."""
        now = time.monotonic()
        rate = int(progress.count.sum()) / max(now - self._passed, 1e-9)
        self._passed, self._running = now, {run: progress}
        if now - self._written >= self.seconds:
            clusters, start = run.split("/")
            self.report(
                f"{clusters} clusters, start {start}, iteration {progress.iteration}, objective "
                f"{progress.objectives[-1]:.6g}, {progress.moved} labels moved, {rate:.3g} segments/s"
            )
            self._write()

    def finish(self, run: str, fit: Fit) -> None:
        """Takes note of a result."""
        self._finished[run], self._running = fit, {}

    def forget(self) -> None:
        """Removes the file: the fit is done and its result kept elsewhere."""
        if self.file is not None and self.file.exists():
            self.file.delete()

    def _write(self) -> None:
        self._written = time.monotonic()
        if self.file is not None:
            kept = {"finished": self._finished, "running": self._running}
            self.file.write_text(json.dumps(kept, default=_plain))


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else dataclasses.asdict(value)


def _restored(kind: type, stored: dict):
    """A dataclass from JSON; its array fields are lists there."""
    arrays = {field.name for field in dataclasses.fields(kind) if field.type == "np.ndarray"}
    return kind(**{name: np.array(value) if name in arrays else value for name, value in stored.items()})
