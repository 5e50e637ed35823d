"""How a container ended, as its engine says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_train.runtime import protocol


def end_facts(found: Mapping[str, Any]) -> dict[str, Any]:
    """How a container ended (`runtime/protocol.py`)."""
    state = found["State"]
    return {
        "at": state.get("FinishedAt") or protocol.timestamp(),
        "container": str(found["Name"]).lstrip("/"),
        "exit_code": state.get("ExitCode"),
        "out_of_memory": bool(state.get("OOMKilled")),
        "memory_bytes": found["HostConfig"].get("Memory") or None,
        "error": state.get("Error") or "",
    }


def in_words(facts: Mapping[str, Any]) -> str:
    """How a container ended, by its `end_facts`."""
    code = facts["exit_code"]
    if facts["out_of_memory"]:
        limit = f" (limit {facts['memory_bytes']} bytes)" if facts["memory_bytes"] else ""
        return f"exit code {code}, out of memory{limit}"
    return f"exit code {code}" + (f" ({facts['error']})" if facts["error"] else "")
