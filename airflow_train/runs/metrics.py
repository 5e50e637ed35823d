"""What a run logged: from the lines of its ranks to values, tables, last scalars and tags.

A line is one JSON object (`runtime/script/train_run.py` writes them): `k` is scalar, list, row, table, image (`v` names
a file of the run), tags, properties or status (of a child run), `n` the metric's name, `v` the value, `s` the step and
`t` seconds since the epoch. NaN and infinities are kept as such;
`json_safe` turns them into text where JSON proper is asked for.
"""

from __future__ import annotations

import heapq
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

from airflow_train.runtime import protocol

Scalar = float | int | str | bool


class Record(Protocol):
    """One line: kind, name, value, time."""

    @property
    def k(self) -> Any: ...
    @property
    def n(self) -> Any: ...
    @property
    def v(self) -> Any: ...
    @property
    def t(self) -> Any: ...


class _Line(NamedTuple):
    k: Any
    n: Any
    v: Any
    t: Any


#: Bytes parsed at once: large enough to be fast, small enough that a million points don't fill the memory.
_BLOCK = 1 << 20
_LONGEST_TEXT = 100
#: Kinds of records that aren't metrics.
_NAMELESS = ("tags", "properties", "status")
#: Whole lines about tags, found without parsing the others; in text a quote is escaped, so nothing else looks like it.
_TAGS = re.compile(rb'(\{"k":"tags"[^\n]*)\n')
_PROPERTIES = re.compile(rb'(\{"k":"properties"[^\n]*)\n')
_STATUS = re.compile(rb'(\{"k":"status"[^\n]*)\n')


def records(data: bytes) -> Iterator[Record]:
    """Records of one rank's lines, in order. Torn lines, the last one above all, are left out."""
    end = data.rfind(b"\n") + 1
    parse = _lines if end < _BLOCK else _fast_lines
    start = 0
    while start < end:
        stop = data.rfind(b"\n", start, start + _BLOCK) + 1 or data.index(b"\n", start) + 1
        yield from parse(data[start:stop])
        start = stop


def merged(ranks: Sequence[bytes]) -> Iterator[Record]:
    """Records of the lines of all ranks by time; the order within a rank is kept even if its clock was set back."""
    if len(ranks) == 1:
        return records(ranks[0])
    return heapq.merge(*map(records, ranks), key=attrgetter("t"))


def fold(ranks: Sequence[bytes], name: str | None = None) -> dict[str, Any]:
    """Values by name, of the lines of all ranks: logged once gives the value, several times a list of them.

    Tables give `{column: value}` for one row, else `{column: [values]}` with None where a row lacks a column.
    `name` leaves out all other metrics.
    """
    series: dict[str, list[Any]] = {}
    tables: dict[str, dict[str, list[Any]]] = {}
    for record in merged(ranks):
        kind, metric = record.k, record.n
        if metric is None or (name is not None and metric != name):
            continue
        if kind == "scalar" or kind in ("list", "image"):
            values = series.get(metric)
            if values is None:
                values = series[metric] = []
            values.append(record.v)
        elif kind in ("row", "table") and _is_table(record.v, single=kind == "row"):
            _add_rows(tables.setdefault(metric, {}), record.v, single=kind == "row")
    metrics: dict[str, Any] = {
        key: values[0] if len(values) == 1 else values for key, values in series.items()
    }
    for key, table in tables.items():
        one = all(len(column) == 1 for column in table.values())
        metrics[key] = {column: values[0] for column, values in table.items()} if one else table
    return metrics


def last_scalars(ranks: Sequence[bytes], limit: int = 50) -> dict[str, Scalar]:
    """Last value of each of the first `limit` scalars, in order of appearance; text is cut after 100 characters."""
    last: dict[str, Scalar] = {}
    for record in merged(ranks):
        if record.k == "scalar" and record.n is not None and (record.n in last or len(last) < limit):
            last[record.n] = record.v
    return {name: _cut(value) for name, value in last.items()}


def fold_tags(
    tags: Mapping[str, str], ranks: Sequence[bytes], outside: Iterable[Mapping[str, Any]] = ()
) -> dict[str, str]:
    """Tags of a run after all changes in the order of time.

    `ranks` are the lines of the scripts, `outside` the changes by others: `{"at": time, "set": {…}, "remove": […]}`.
    """
    lines = [line for rank in ranks for line in _TAGS.findall(rank)]
    said = [one for line in lines for one in _parse(line) if isinstance(one["v"], dict)]
    changes = [(change.get("t", 0.0), change.get("v") or {}, change.get("r") or ()) for change in said]
    changes += [(protocol.seconds_of(c["at"]), c.get("set") or {}, c.get("remove") or ()) for c in outside]
    now = dict(tags)
    for _, changed, removed in sorted(changes, key=lambda change: change[0]):
        now.update(changed)
        for key in removed:
            now.pop(key, None)
    return now


def fold_properties(properties: Mapping[str, str], ranks: Sequence[bytes]) -> dict[str, str]:
    """Properties of a run with those that its script added; what is there never changes."""
    now = dict(properties)
    for lines in ranks:
        for added in _found(_PROPERTIES, lines):
            if isinstance(added, dict):
                now = {**added, **now}
    return now


def ended_as(lines: bytes) -> str | None:
    """How a child run was ended by its script; None when it wasn't."""
    ends = [end for end in _found(_STATUS, lines) if end in ("Completed", "Failed", "Canceled")]
    return str(ends[0]) if ends else None


def _found(kind: re.Pattern[bytes], lines: bytes) -> list[Any]:
    return [one["v"] for line in kind.findall(lines) for one in _parse(line)]


def json_safe(value: Any) -> Any:
    """The same data with NaN and infinities as "NaN", "Infinity" and "-Infinity", which XCom would refuse."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return list(value) if _all_finite(value) else [json_safe(item) for item in value]
    return value


def _all_finite(values: Sequence[Any]) -> bool:
    """Are these numbers alone, and finite? A series of a million points is asked in 30 ms."""
    try:
        return all(map(math.isfinite, values))
    except (TypeError, OverflowError):
        return False


def _lines(block: bytes) -> list[_Line]:
    found = ((one.get("k"), one.get("n"), one["v"], one.get("t", 0.0)) for one in _parse(block))
    return [_Line(k, n, v, t if type(t) in (float, int) else 0.0) for k, n, v, t in found if type(n) is str]


def _fast_lines(block: bytes) -> Sequence[Record]:
    """As `_lines`, three times as fast; a block that msgspec doesn't read (a torn line, NaN) is left to that."""
    try:
        return _decoder()(_array(block))
    except ValueError:  # what msgspec raises is one
        return _lines(block)


@cache
def _decoder() -> Callable[[bytes], Sequence[Record]]:
    import msgspec  # 10 ms, which most runs are too small for

    fields: list[Any] = [("v", Any), ("k", Any, None), ("n", str | None, None), ("t", float, 0.0)]
    line: Any = msgspec.defstruct("line", fields, gc=False)
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[line])
    return decoder.decode


def _array(block: bytes) -> bytes:
    return b"[" + block.rstrip(b"\n").replace(b"\n", b",") + b"]"


def _parse(block: bytes) -> list[dict[str, Any]]:
    """Whole lines at once as one JSON array, four times as fast as line by line; one by one if a line is torn."""
    try:
        found: list[Any] = json.loads(_array(block))
    except ValueError:
        found = [_rescue(line) for line in block.splitlines()]
    # a file of lines can hold anything that somebody else wrote into it
    return [
        one for one in found if type(one) is dict and "v" in one and ("n" in one or one.get("k") in _NAMELESS)
    ]


def _rescue(line: bytes) -> dict[str, Any] | None:
    """The whole record at the end of a line: a process killed while it wrote leaves half a record before the next."""
    try:
        return json.loads(line[max(0, line.rfind(b'{"k":')) :])  # type: ignore[no-any-return]
    except ValueError:
        return None


def _cut(value: Scalar) -> Scalar:
    return (
        value[: _LONGEST_TEXT - 1] + "…" if isinstance(value, str) and len(value) > _LONGEST_TEXT else value
    )


def _is_table(columns: Any, *, single: bool) -> bool:
    """Could `train_run` have written that?"""
    return isinstance(columns, dict) and (single or all(isinstance(one, list) for one in columns.values()))


def _add_rows(table: dict[str, list[Any]], columns: Mapping[str, Any], single: bool) -> None:
    before = max(map(len, table.values()), default=0)
    for key, column in columns.items():
        table.setdefault(key, [None] * before).extend([column] if single else column)
    after = max(map(len, table.values()), default=0)
    for column in table.values():
        column.extend([None] * (after - len(column)))
