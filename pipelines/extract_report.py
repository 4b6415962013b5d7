"""What extraction cost and where it failed: figures for the manifest, and the same as lines for the terminal."""

from collections import Counter
from collections.abc import Collection

import pyarrow as pa

_OTHER = "other"  # tables, storage, the way to the isolated process and back


def measure(marks: Collection[dict], errors: pa.Table) -> dict:
    """Figures of all committed units of a corpus, whichever run made them, and of its rows of errors.

    real_time_factor: seconds of one worker, which has one core, a second of media (below 1 is faster than real time);
    in all, and by step. cpu_seconds: CPU time of the workers, which other work on their machines makes no longer.
    clips_per_core_second: clips that one worker does in a second. peak_memory_bytes: the largest worker, its isolated
    process included; reserved_memory_bytes: what was set aside for it.
    """
    clips, media = sum(len(mark["clips"]) for mark in marks), sum(mark["media_seconds"] for mark in marks)
    work = sum(mark["wall_seconds"] for mark in marks)
    steps = sum((Counter(mark["seconds"]) for mark in marks), Counter())
    steps[_OTHER] = max(0.0, work - steps.total())
    return {
        "clips": clips,
        "media_seconds": round(media, 3),
        "worker_seconds": round(work, 3),
        "cpu_seconds": round(sum(mark["cpu_seconds"] for mark in marks), 3),
        "clips_per_core_second": _ratio(clips, work),
        "real_time_factor": _ratio(work, media),
        "steps": {
            step: {"seconds": round(spent, 3), "share": _ratio(spent, work), "real_time_factor": _ratio(spent, media)}
            for step, spent in sorted(steps.items(), key=lambda item: -item[1])
        },
        "peak_memory_bytes": max((mark["peak_memory_bytes"] for mark in marks), default=0),
        "reserved_memory_bytes": max((mark["limits"]["memory_bytes"] for mark in marks), default=0),
        "errors": _by_kind(errors),
    }


def lines(report: dict) -> list[str]:
    """`measure`'s figures for the terminal: a table of the steps, then one line a kind of error."""
    peak, reserved = (report[name] / 2**30 for name in ("peak_memory_bytes", "reserved_memory_bytes"))
    shown = [
        f"  a core: real-time factor {report['real_time_factor']:.2f}, {report['clips_per_core_second']:.2f} clips/s; "
        f"worker's peak memory {peak:.2f} of {reserved:.2f} GB reserved, {report['spilled_bytes']} bytes spilled",
        f"  {'step':16}{'seconds':>10}{'share':>8}{'x real time':>13}",
    ]
    for step, figures in report["steps"].items():
        shown.append(f"  {step:16}{figures['seconds']:10.1f}{figures['share']:8.1%}{figures['real_time_factor']:13.3f}")
    if peak > reserved:
        shown.append(
            f"  more than was reserved: set ray.extract_memory_gb={1.2 * peak:.1f}, or nodes may run out of it"
        )
    for kind in report["errors"]:
        shown.append(f"  {kind['count']} x {kind['error_class']} ({kind['step']}), such as {kind['example']}")
    return shown


def _by_kind(errors: pa.Table) -> list[dict]:
    """Errors counted by class and step, the most frequent first, each with one reason as the example."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for row in errors.select(["error_class", "step", "clip_id", "reason"]).to_pylist():
        kinds.setdefault((row["error_class"], row["step"]), []).append(f"{row['clip_id']}: {row['reason']}")
    return [
        {"error_class": kind[0], "step": kind[1], "count": len(reasons), "example": reasons[0]}
        for kind, reasons in sorted(kinds.items(), key=lambda item: -len(item[1]))
    ]


def _ratio(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0
