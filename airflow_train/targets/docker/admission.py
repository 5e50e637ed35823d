"""What may come home from a container: its script writes to the same folders as its supervisor, and may write anything.

Whatever isn't as the runtime writes it stays behind, so that nobody who looks at the run trips over it, holds more of
it in memory than a segment, or takes the script's word for what only others say: who owns the run, and how it ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_train.runs import status
from airflow_train.runtime import protocol

#: Most bytes of a record, or of a segment, of which 4 MiB are content and the rest says what is in it.
MOST = 16 << 20
_EVENT = ("at", "status", "reason", "by")
_REPORT = ("at", "started", "by")
_RANK = re.compile(r"ranks/\d{1,6}/(?:start|exit)\.json")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
#: Of a run, but never a container's to say.
_OTHERS = ("owners/",)


def is_own(name: str) -> bool:
    """May a container write a file of this name, below the run's folder?"""
    names = name.removesuffix("/").split("/")
    plain = not {"", ".", ".."} & set(names) and "\0" not in name
    return plain and (len(names) > 1 or name.endswith("/")) and not name.startswith(_OTHERS)


def is_good_record(name: str, content: bytes) -> bool:
    """Is this a record as the runtime writes it?"""
    if not is_own(name) or protocol.TEMPORARY in name or len(content) > MOST:
        return False
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        return False
    if not isinstance(record, dict):
        return False
    if name.startswith(f"{protocol.EVENTS_FOLDER}/"):
        return all(isinstance(record.get(key), str) for key in _EVENT) and _is_event(record)
    if name.startswith("ranks/"):
        return _RANK.fullmatch(name) is not None
    return not name.endswith(f"/{protocol.REPORT_FILE}") or all(key in record for key in _REPORT)


def stop_record(content: bytes) -> dict[str, Any]:
    """`reason`, `node` and `detail` of a stop record; of None where it isn't one."""
    try:
        record = json.loads(content)
        return {key: record.get(key) for key in ("reason", "node", "detail")}
    except (ValueError, RecursionError, AttributeError):
        return dict.fromkeys(("reason", "node", "detail"))


def _is_event(record: Mapping[str, Any]) -> bool:
    return record["status"] in status.ORDER and _TIME.fullmatch(record["at"]) is not None


def pieces(content: bytes) -> list[tuple[str, bytes]] | None:
    """Names and contents of a segment's pieces (`runtime/channel.py`); None when it isn't one."""
    line, _, data = content.partition(b"\n")
    found, at = [], 0
    try:
        for name, offset, size in json.loads(line)["pieces"]:
            if not (isinstance(name, str) and type(offset) is type(size) is int and min(offset, size) >= 0):
                return None
            if not is_own(name):
                return None
            found.append((name, data[at : at + size]))
            at += size
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if at == len(data) else None
