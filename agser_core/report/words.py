"""Numbers and names as a reader wants them. Missing values become a dash."""

from __future__ import annotations

import datetime
import math

import pandas as pd

ABSENT = "–"
_METHODS = {
    "none": "none (source only)",
    "ag": "AG",
    "hard_ag": "Hard-AG",
    "pa": "PA",
    "la": "LA",
    "sapa": "SAPA",
    "coral": "CORAL",
    "dann": "DANN",
}


def is_absent(value: object) -> bool:
    return bool(value is None or pd.isna(value))


def decimal(value: float | None, places: int = 1) -> str:
    """
    >>> decimal(3.14159, 2), decimal(float("nan"))
    ('3.14', '–')
    """
    return ABSENT if is_absent(value) else f"{value:.{places}f}"


def percent(share: float | None, places: int = 1) -> str:
    """A share in 0..1 in per cent, without the sign.

    >>> percent(0.5737)
    '57.4'
    """
    return ABSENT if is_absent(share) else decimal(100 * share, places)


def signed_points(value: float | None) -> str:
    """
    >>> signed_points(-0.24), signed_points(5.3)
    ('−0.2', '+5.3')
    """
    return ABSENT if is_absent(value) else f"{value:+.1f}".replace("-", "−")


def interval(low: float | None, high: float | None, places: int = 1) -> str:
    """
    >>> interval(51.2, 60), interval(-1.5, 2)
    ('51.2 to 60.0', '−1.5 to 2.0')
    """
    if is_absent(low) or is_absent(high):
        return ABSENT
    return f"{low:.{places}f} to {high:.{places}f}".replace("-", "−")


def p_value(value: float | None) -> str:
    """
    >>> p_value(0.0004), p_value(0.034), p_value(0.4)
    ('< 0.001', '0.034', '0.40')
    """
    if is_absent(value):
        return ABSENT
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def count(value: float | None) -> str:
    """
    >>> count(1234567)
    '1,234,567'
    """
    return ABSENT if is_absent(value) else f"{int(value):,}"


def duration(seconds: float | None) -> str:
    """
    >>> duration(4.21), duration(75), duration(7300)
    ('4.2 s', '1 min 15 s', '2 h 01 min')
    """
    if is_absent(seconds):
        return ABSENT
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(round(seconds)) // 60
    return f"{minutes} min {round(seconds) % 60:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def hours(value: float) -> str:
    """
    >>> hours(0.15), hours(3.21)
    ('9 minutes', '3.2 hours')
    """
    return f"{value:.1f} hours" if value >= 1 else f"{60 * value:.0f} minutes"


def megabytes(size: float | None) -> str:
    """
    >>> megabytes(512 * 2**20), megabytes(3 * 2**30)
    ('512 MiB', '3.0 GiB')
    """
    if is_absent(size):
        return ABSENT
    return f"{size / 2**20:.0f} MiB" if size < 2**30 else f"{size / 2**30:.1f} GiB"


def yes_no(value: object) -> str:
    return ABSENT if is_absent(value) else "yes" if value else "no"


def method_name(name: str) -> str:
    """
    >>> method_name("hard_ag"), method_name("random_clusters"), method_name("ag-triplet+la")
    ('Hard-AG', 'random clusters', 'AG (triplet) + LA')
    """
    parts = (part.partition("-") for part in name.split("+"))
    return " + ".join(
        _METHODS.get(part, part.replace("_", " ")) + (f" ({form})" if form else "") for part, _, form in parts
    )


def gesture_name(number: int) -> str:
    """
    >>> gesture_name(3)
    'G3'
    """
    return f"G{number}"


def direction_name(direction: str) -> str:
    """
    >>> direction_name("alder->birch")
    'alder → birch'
    """
    return direction.replace("->", " → ")


def moment(iso: str) -> str:
    """A time stamp for readers; what is no time stamp stays as it is.

    >>> moment("2025-03-01T12:30:00Z"), moment("yesterday")
    ('1 March 2025, 12:30 UTC', 'yesterday')
    """
    try:
        time = datetime.datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = " UTC" if time.utcoffset() == datetime.timedelta(0) else ""
    return f"{time.day} {time:%B %Y, %H:%M}{zone}"


def plural(number: int, word: str) -> str:
    """
    >>> plural(1, "clip"), plural(1200, "clip"), plural(2, "corpus")
    ('1 clip', '1,200 clips', '2 corpora')
    """
    several = {"corpus": "corpora", "hour": "hours"}.get(word, f"{word}s")
    return f"{count(number)} {word if number == 1 else several}"


def as_text(value: object) -> str:
    """Any cell: whole numbers with separators, other numbers with three digits, the rest as it is."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    if is_absent(value):
        return ABSENT
    if isinstance(value, bool) or pd.api.types.is_bool(value):
        return yes_no(value)
    if pd.api.types.is_integer(value):
        return count(value)
    if pd.api.types.is_float(value):
        return f"{value:.3g}" if math.isfinite(value) else str(value)
    return str(value)
