"""Exit records: how a rank ended, as its wrapper saw it or, where that was killed, as its supervisor did."""

from __future__ import annotations

import os
import signal

from airflow_train.runtime import cgroups, protocol, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def path(launch: dict[str, Any], rank: dict[str, Any]) -> str:
    """Where the exit record of a rank lies."""
    return os.path.join(launch["run_folder"], protocol.rank_folder(rank["rank"]), "exit.json")


def empty(rank: dict[str, Any], started: str, **known: Any) -> dict[str, Any]:
    """Exit record of a rank of which only `known` is known."""
    facts = {
        "rank": rank["rank"],
        "node": rank["node"],
        "code": None,
        "signal": None,
        "could_not_start": None,
        "stopped_by": None,
        "started": started,
        "ended": protocol.timestamp(),
        "max_rss_bytes": None,
        "memory": None,
        "cpu_seconds": None,
        "ended_leftovers": 0,
        "retries": 0,
        "lost_output_bytes": 0,
        "last_lines": [],
        "exception": None,
    }
    return {**facts, **known}


def of_process(status: int, usage: Any) -> dict[str, Any]:
    """What the kernel says of an ended process (`os.wait4`), for an exit record."""
    signaled = os.WIFSIGNALED(status)
    return {
        "code": None if signaled else os.WEXITSTATUS(status),
        "signal": os.WTERMSIG(status) if signaled else None,
        "max_rss_bytes": _max_rss(usage),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3) if usage else None,
    }


def _max_rss(usage: Any) -> int | None:
    if usage is None:
        return None
    return int(usage.ru_maxrss) * (1 if os.uname().sysname == "Darwin" else 1024)


def memory_of(
    launch: dict[str, Any], rank: dict[str, Any], place: cgroups.Place | None, status: int
) -> dict[str, Any] | None:
    """`memory` of an exit record. Where ranks share one group, a kill counts for those that were killed.

    :param status: how the rank ended; 0 where it was stopped.
    """
    if place is None:
        return None
    facts = cgroups.facts(place, rank)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if place.get("whole") and len(launch["ranks"]) > 1:
        facts["peak_bytes"] = None
        if not killed:
            facts["node_oom_kills"], facts["oom_kills"] = facts["oom_kills"], 0
    return facts


def of_wrapper(
    launch: dict[str, Any], rank: dict[str, Any], started: str, status: int, place: cgroups.Place | None
) -> dict[str, Any]:
    """The record that a wrapper has written, or what its death says when there is none."""
    found = records.read(path(launch, rank))
    if found is None:  # the wrapper was killed, and the kernel killed the script with it
        memory = memory_of(launch, rank, place, status)
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        found = empty(rank, started, signal=number, stopped_by=protocol.WRAPPER_KILLED, memory=memory)
        records.create(path(launch, rank), found)
    return found
