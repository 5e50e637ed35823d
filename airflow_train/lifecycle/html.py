"""Small tables that notebooks show for runs and experiments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from airflow_train.runs.times import duration
from airflow_train.store.run_store import RunSummary

HEADERS = ("Run", "Status", "Created", "Took", "Metrics")
#: Metrics and characters of one that a cell shows.
_METRICS, _WIDTH = 5, 60


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table; every text is escaped."""
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    head = "".join(f"<th>{escape(one)}</th>" for one in headers)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def row(one: RunSummary, status: str | None = None) -> tuple[str, ...]:
    """A run's cells below `HEADERS`."""
    created = one.created[:19].replace("T", " ")
    return one.run_id, status or one.status, created, duration(one.started, one.ended), _metrics(one)


def _metrics(one: RunSummary) -> str:
    found = list((one.metrics or {}).items())
    shown = [f"{name}={_short(value)}" for name, value in found[:_METRICS]]
    return ", ".join(shown) + (f" and {len(found) - _METRICS} more" if len(found) > _METRICS else "")


def _short(value: object) -> str:
    text = f"{value:.5g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
