"""The limits of one trial: a time after which its process ends, and memory beyond which it gets none."""

from __future__ import annotations

import contextlib
import faulthandler
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

from agser_core.tuning.study import LimitSettings


@contextlib.contextmanager
def within_limits(limits: LimitSettings) -> Iterator[None]:
    """Keep what runs inside to its limits.

    Time: the process ends, with a traceback of what it hung in on its standard error, even where native code holds
    the interpreter. Memory: asking for more raises MemoryError (Linux only).
    """
    if limits.seconds is not None:
        faulthandler.dump_traceback_later(limits.seconds, exit=True)
    restore = _limit_memory(limits.memory_gb) if limits.memory_gb is not None else None
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        if restore is not None:
            restore()


def _limit_memory(gigabytes: float) -> Callable[[], None] | None:
    """Limit the private writable memory of this process to what it has now and so much more; a function that undoes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    held = next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmData"))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (held + int(gigabytes * 2**30), before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_DATA, before)
