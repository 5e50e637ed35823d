"""Times of a run in words."""

from __future__ import annotations

from airflow_train.runtime import protocol


def limit(seconds: float) -> str:
    """A limit as its option says it, also where it is long: `0.5 s`, `2592000 s`."""
    return f"{seconds:.15g} s"


def duration(started: str | None, ended: str | None) -> str:
    """Time between two timestamps for people: `0.4 s`, `3 min 20 s`; empty where one is missing."""
    if started is None or ended is None:
        return ""
    seconds = max(0.0, protocol.seconds_of(ended) - protocol.seconds_of(started))
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
