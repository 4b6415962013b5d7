"""Progress of a long stage: a line every few seconds, for a terminal, a log file and `ray job logs` alike."""

import time

from pipelines.stage import say


class Progress:
    """Count what is done and say so at most every `interval` seconds.

    total: all items, of which `already` were done before. unit: what is counted, in the plural.
    """

    def __init__(self, stage: str, unit: str, total: int, already: int = 0, interval: float = 5.0):
        self.stage, self.unit, self.total, self.done, self.failed = stage, unit, total, already, 0
        self.interval, self.started, self.fresh = interval, time.monotonic(), 0
        self.last = self.started

    def add(self, done: int = 1, failed: int = 0) -> None:
        self.done, self.failed, self.fresh = self.done + done, self.failed + failed, self.fresh + done
        if time.monotonic() - self.last >= self.interval or self.done >= self.total:
            self.last = time.monotonic()
            say(self.line())

    def line(self) -> str:
        rate = self.fresh / max(time.monotonic() - self.started, 1e-9)
        left = (self.total - self.done) / rate if rate else float("inf")
        minutes, seconds = divmod(round(min(left, 359999)), 60)
        return (
            f"{self.stage}: {self.done}/{self.total} {self.unit}, {self.failed} failed, {rate:.1f}/s, "
            f"{minutes}:{seconds:02d} left"
        )
