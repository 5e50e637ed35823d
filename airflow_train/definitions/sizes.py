"""Amounts of memory: the kind of such a parameter, and what they come to in bytes."""

from __future__ import annotations

import operator
import re
from typing import Any

from airflow_train.definitions.kinds import LARGEST, TEMPLATE, Kind
from airflow_train.definitions.report import At

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)(b?)", re.IGNORECASE)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class Size(Kind):
    """An amount of memory, kept as written: bytes, or a number with a unit (`2GB` is 2·10⁹ bytes, `2Gi` is 2·2³⁰)."""

    def __init__(self, *, binary: bool = False) -> None:
        self.binary = binary

    def read(self, value: Any, at: At) -> Any:
        mend = "write it as 2GB, 512Mi or a number of bytes"
        if isinstance(value, str):
            text = value.strip()
            plain: str | int | None = int(text) if text.isdecimal() and len(text) < 20 else text
            size = size_in_bytes(text, binary=self.binary)
        else:
            plain = size = None if isinstance(value, bool) else _index(value)
        if size is None or plain is None:
            return at.wrong(value, "an amount of memory", mend)
        if size < 1 << 20:
            return at.wrong(value, "at least 1 MiB", f"a number without a unit counts bytes; {mend}")
        if size > LARGEST:
            return at.wrong(value, f"at most {LARGEST} bytes", mend)
        return plain

    def schema(self) -> dict[str, Any]:
        written = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[kKmMgGtT]?i?[bB]?\s*$"}
        return {"anyOf": [{"type": "integer", "minimum": 1 << 20}, written, TEMPLATE]}


def size_in_bytes(text: str | int, *, binary: bool = False) -> int | None:
    """Bytes of `512Mi`, `2GB` or `1073741824`; with `binary` every unit is a power of 1024, as Docker means it."""
    if isinstance(text, int):
        return text
    if not (found := _SIZE.fullmatch(text.strip())):
        return None
    number, unit, two, _ = found.groups()
    if (two and not unit) or len(number) > 20:
        return None
    return int(float(number) * (1024 if two or binary else 1000) ** _POWER[unit.lower()])


def _index(value: Any) -> int | None:
    try:
        return operator.index(value)
    except TypeError:
        return None
