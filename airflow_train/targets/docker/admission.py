"""What may come home from a container: its script writes to the same folders as its supervisor, and may write anything.

Whatever isn't as the runtime writes it stays behind, so that nobody who looks at the run trips over it, holds more of
it in memory than a segment, or takes the script's word for what only others say: who owns the run, how it ended, and
what became of other nodes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_train.runs import status, verdict
from airflow_train.runtime import protocol

#: Most bytes of a record, or of a segment, of which 4 MiB are content and the rest says what is in it.
MOST = 16 << 20
#: Largest whole number of a record.
_LARGEST = 1 << 62
#: Everything that the runtime writes below the run's folder, beside folders.
_NAMES = re.compile(
    r"""(?: files/.+
    | events/[0-9]{4,9}\.json
    | ranks/[0-9]{1,6}/(?:start|exit)\.json
    | (?:system_)?metrics/[^/]+\.jsonl
    | registrations/[^/]+\.json
    | (?:children/[0-9]{4,9}/)+(?:child\.json|metrics\.jsonl)
    | node_[0-9]{1,6}/[^/]+ )""",
    re.VERBOSE | re.DOTALL,
)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+Z")

# Shapes of records, as readers rely on them: a type, one of several, a value, [of each entry], {key: of its value}.
_TEXT, _COUNT = (str, None), (int, None)
_MEMORY = {"limit_bytes": int, "peak_bytes": _COUNT, "oom_kills": int, "at_limit": bool}
_EXCEPTION = {"type": str, "message": str}
_PROCESS = {"pid": int, "start_time": str}
_EVENT = {"at": _TIME, "status": str, "reason": str, "by": str}
_START = {"at": _TIME, "rank": int, "node": int, "wrapper": _PROCESS, "script": _PROCESS}
_EXIT = {
    "rank": int,
    "node": int,
    "code": _COUNT,
    "signal": _COUNT,
    "could_not_start": _TEXT,
    "stopped_by": _TEXT,
    "started": _TIME,
    "ended": _TIME,
    "max_rss_bytes": _COUNT,
    "retries": int,
    "lost_output_bytes": int,
    "last_lines": [str],
    "exception": (_EXCEPTION, None),
    "memory": (_MEMORY, None),
}
_REPORT = {
    "at": _TIME,
    "started": (_TIME, None),
    "error": _TEXT,
    "by": str,
    "outputs": int,
    "conflicts": [str],
    "left": [str],
    "memory": ({"limit_bytes": int, "peak_bytes": dict}, None),
}
_STOP = {"at": _TIME, "reason": str}
#: reason of `stop.json` → what it has beside
_STOPPED = {
    protocol.STOP_RANK_FAILED: {"rank": int},
    protocol.STOP_NO_PROGRESS: {"rank": int, "detail": str},
    protocol.STOP_PHASE_LIMIT: {"phase": str},
    protocol.STOP_NODE_LOST: {"node": int, "detail": str},
    protocol.STOP_LAUNCHER: {"detail": str},
    protocol.STOP_OUTSIDE: {"detail": str},
}


def is_own(name: str, node: int = 0) -> bool:
    """May a node's container write a file of this name below the run's folder? With `/` at its end it is a folder."""
    first = name.partition("/")[0]
    if not _is_plain(name) or (node and first == protocol.EVENTS_FOLDER):
        return False  # node 0 tells what the run waits for
    if first.startswith("node_") and first != protocol.node_folder(node):
        return False
    return name.endswith("/") or _NAMES.fullmatch(name) is not None


def _is_plain(name: str) -> bool:
    return {"", ".", ".."}.isdisjoint(name.removesuffix("/").split("/")) and "\0" not in name


def comes_live(name: str, node: int) -> bool:
    """May a record of this name come home while the container of the node runs?"""
    if name.startswith(f"{protocol.node_folder(node)}/"):
        return name.endswith(f"/{protocol.STOP_FILE}")
    return is_own(name, node)


def is_good_record(name: str, content: bytes) -> bool:
    """Is this a record as the runtime writes it?"""
    if protocol.TEMPORARY in name or len(content) > MOST:
        return False
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        return False
    if not isinstance(record, dict):
        return False
    if name.startswith(f"{protocol.EVENTS_FOLDER}/"):
        return _fits(record, _EVENT) and record["status"] in status.ORDER
    if name.startswith("ranks/"):
        _, number, kind = name.split("/")
        return _fits(record, _START if kind == "start.json" else _EXIT) and record["rank"] == int(number)
    if name.endswith(f"/{protocol.REPORT_FILE}"):
        return _fits(record, _REPORT) and _is_report(record)
    if name.endswith(f"/{protocol.STOP_FILE}"):
        return _fits(record, _STOP) and _fits(record, _STOPPED.get(record["reason"], {}))
    return True


def stop_record(content: bytes) -> dict[str, Any]:
    """A stop record; empty where it isn't one."""
    return json.loads(content) if is_good_record(f"/{protocol.STOP_FILE}", content) else {}


def _is_report(record: Mapping[str, Any]) -> bool:
    peaks = (record["memory"] or {"peak_bytes": {}})["peak_bytes"].values()
    return all(_fits(peak, _COUNT) for peak in peaks) and record.get("reason", "script") in verdict.REASONS


def _fits(value: Any, shape: Any) -> bool:
    """Has a value of JSON this shape?"""
    if isinstance(shape, tuple):
        return any(_fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(one, shape[0]) for one in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            key in value and _fits(value[key], shape[key]) for key in shape
        )
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.fullmatch(value) is not None
    if shape is None:
        return value is None
    return type(value) is shape and (shape is not int or abs(value) <= _LARGEST)


def pieces(content: bytes) -> list[tuple[str, bytes]] | None:
    """Names and contents of a segment's pieces (`runtime/channel.py`); None when it isn't one."""
    line, _, data = content.partition(b"\n")
    found, at = [], 0
    try:
        for name, offset, size in json.loads(line)["pieces"]:
            if not (isinstance(name, str) and type(offset) is type(size) is int and min(offset, size) >= 0):
                return None
            if not _is_plain(name):
                return None
            found.append((name, data[at : at + size]))
            at += size
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if at == len(data) else None
