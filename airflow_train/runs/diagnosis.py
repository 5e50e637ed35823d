"""Why a run failed: which rank was first, and what its exit record says in words.

Evidence from outside (want of memory, a signal that nobody here sent) beats the script's own exception, which beats a
bare exit code; ranks that were stopped because another had failed are no causes.
"""

from __future__ import annotations

import re
import signal as signals
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_train.runtime import protocol

Json = Mapping[str, Any]

#: Who stopped a rank because it was itself at its end: what the rank had still to do is unknown.
_LOST = (protocol.SUPERVISOR_LOST, protocol.BY_LAUNCHER)

#: What Horovod raises in all ranks as soon as one of them begins to leave.
_LEFT_BY_ANOTHER = "HorovodInternalError"

#: Signals that end nobody because another rank has ended; SIGABRT is what gloo and NCCL do then.
_CRASHES = (signals.SIGSEGV, signals.SIGBUS, signals.SIGFPE, signals.SIGILL)

_BY_PROGRAM_FAULT = (
    "SIGSEGV",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGILL",
    "SIGSYS",
    "SIGTRAP",
    "SIGXCPU",
    "SIGXFSZ",
)
_SIGNAL_WORDS = {
    "SIGSEGV": "segmentation fault",
    "SIGABRT": "abort",
    "SIGBUS": "bus error",
    "SIGFPE": "arithmetic error",
    "SIGILL": "illegal instruction",
    "SIGKILL": "killed from outside, often because the machine ran out of memory",
    "SIGTERM": "asked to stop from outside",
    "SIGXCPU": "processor time limit",
}


def root_cause(exits: Iterable[Json], stop: Json | None) -> Json | None:
    """The exit record that explains the failure; None when every rank said 0 or was only stopped.

    Want of memory comes before all, also in a rank that only waited for a process it had lost. Else the supervisor
    noted which rank it saw failing first; else the first that ended by its own doing counts.
    """
    failed = [one for one in exits if not ended_well(one)]
    starved = [one for one in failed if lost_memory(one)]
    if starved:
        return min(starved, key=lambda one: (one["stopped_by"] is not None, str(one["ended"])))
    own = [one for one in failed if one["stopped_by"] in (None, protocol.WRAPPER_KILLED)]
    if stop is not None and stop["reason"] == protocol.STOP_RANK_FAILED:
        own = [one for one in failed if one["rank"] == stop.get("rank")] or own
    first = min(own, key=_ended, default=None)
    if first is None:
        return None
    # whoever looks after a rank may be slower to see its end than the ranks that had talked to it
    if _lost_peer(first) and (crashed := [one for one in failed if one["signal"] in _CRASHES]):
        return min(crashed, key=_ended)
    if not _left_by_another(first):
        return first
    raised = [one for one in failed if one["exception"] and not _left_by_another(one)]
    return min(raised, key=_ended, default=first)


def left_early(cause: Json, exits: Iterable[Json], *, mpi: bool) -> str:
    """Who came to its end while others still waited for it, in one sentence; empty where that isn't why they failed.

    :param mpi: Open MPI may have ended ranks by a code of its own.
    """
    lost_peer = _lost_peer(cause) if cause["exception"] else mpi and cause["code"] == protocol.MPI_ERR_UNKNOWN
    before = [one for one in exits if _left_by_another(cause) or _ended(one) <= _ended(cause)]
    ranks = sorted(one["rank"] for one in before if one["code"] == 0 and ended_well(one))
    if not lost_peer or not ranks:
        return ""
    who = f"Rank {ranks[0]}" if len(ranks) == 1 else f"Ranks {', '.join(map(str, ranks))}"
    return f"{who} had come to the end of the script while others still waited for it."


def _lost_peer(cause: Json) -> bool:
    """Does its exception say that it had lost another rank?"""
    said = "{type} {message}".format_map(cause["exception"]) if cause["exception"] else ""
    return bool(re.search(protocol.LOST_PEER, said, re.IGNORECASE))


def _left_by_another(cause: Json) -> bool:
    return bool(cause["exception"]) and str(cause["exception"]["type"]).endswith(_LEFT_BY_ANOTHER)


def _ended(exit_record: Json) -> str:
    return str(exit_record["ended"])


def ended_well(exit_record: Json) -> bool:
    """Did this rank do its part? One that said 0 when its supervisor or launcher was lost did not."""
    stopped_by = exit_record["stopped_by"]
    return bool(stopped_by == protocol.SERVED or (exit_record["code"] == 0 and stopped_by not in _LOST))


def lost_memory(exit_record: Json) -> bool:
    """Has the kernel killed a process of this rank for want of memory?"""
    return bool((exit_record.get("memory") or {}).get("oom_kills"))


def _node_lost_memory(exit_record: Json) -> bool:
    """Has the kernel killed a process for want of memory, maybe of this rank? Where ranks share a container, it
    counts for all of them together."""
    return bool((exit_record.get("memory") or {}).get("node_oom_kills"))


def starved(exits: Iterable[Json], world_size: int) -> str:
    """What a run that was stopped may have waited for: a process that it had lost; empty when it had lost none."""
    exits = list(exits)
    if own := next(filter(lost_memory, exits), None):
        return sentence(own, world_size)
    if shared := next(filter(_node_lost_memory, exits), None):
        return f"A process of node {shared['node']} was killed {_at_limit(shared, shared=True)}."
    return ""


def signal_name(number: int) -> str:
    """`SIGSEGV (segmentation fault)` for 11."""
    try:
        name = signals.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    words = _SIGNAL_WORDS.get(name)
    return f"{name} ({words})" if words else name


def reason(cause: Json) -> str:
    """Reason of the verdict (`verdict.REASONS`) for an exit record."""
    if lost_memory(cause):
        return "out_of_memory" if cause["memory"]["at_limit"] else "infrastructure"
    if cause["could_not_start"]:
        return "could_not_start"
    if _fell_with_another(cause):
        return "out_of_memory" if cause["memory"]["at_limit"] else "infrastructure"
    if cause["stopped_by"] == protocol.WRAPPER_KILLED:
        return "infrastructure"
    if _stopped_while_it_failed(cause):
        return "script"
    number = cause["signal"]
    if number is not None and signal_name(number).partition(" ")[0] not in _BY_PROGRAM_FAULT:
        return "infrastructure"
    return "script"


def sentence(cause: Json, world_size: int) -> str:
    """What happened to that rank, in one paragraph."""
    who = f"Rank {cause['rank']} of {world_size} (node {cause['node']})" if world_size > 1 else "The script"
    if lost_memory(cause):
        return f"{who} ran out of memory: {_want_of_memory(cause, world_size)}."
    if cause["could_not_start"]:
        return f"{who} could not be started: {cause['could_not_start']}."
    if cause["stopped_by"] == protocol.WRAPPER_KILLED:
        return f"{who} ended because its wrapper process was killed from outside."
    if _fell_with_another(cause):
        return (
            f"{who} {_ending(cause)}, after a process of its node was killed {_at_limit(cause, shared=True)}."
        )
    return f"{who} {_ending(cause)}."


def _fell_with_another(cause: Json) -> bool:
    """Did this rank fail by itself where a process, most likely one of its own, was killed for want of memory?"""
    return _node_lost_memory(cause) and cause["stopped_by"] is None


def _stopped_while_it_failed(cause: Json) -> bool:
    """Was this rank, which explains the failure, told to stop before it had ended of what it raised?"""
    return bool(cause["stopped_by"] == protocol.BY_SUPERVISOR and cause["exception"])


def _ending(cause: Json) -> str:
    how = f"exited with code {cause['code']}"
    if _stopped_while_it_failed(cause):
        how = "failed"
    elif cause["signal"]:
        how = f"was ended by {signal_name(cause['signal'])}"
    if retries := cause.get("retries"):
        how += f" after {retries} {'retry' if retries == 1 else 'retries'}"
    error = cause["exception"]
    if not error:
        return how
    text = f"{error['type']}: {error['message']}" if error["message"] else str(error["type"])
    place = f" ({error['place']})" if error.get("place") else ""
    return f"{how}: {text}{place}"


def _want_of_memory(cause: Json, world_size: int) -> str:
    memory, shared = cause["memory"], world_size > 1
    where = _at_limit(cause, shared=shared)
    if shared and memory["peak_bytes"]:
        where += f", of which it held {_mebibytes(memory['peak_bytes'])}"
    if cause["stopped_by"] is not None:
        return f"a process of it was killed {where}, and the rank was stopped later"
    if cause["signal"] == signals.SIGKILL:
        return f"it was killed {where}"
    return f"a process of it was killed {where}, and the rank {_ending(cause)}"


def _at_limit(cause: Json, *, shared: bool) -> str:
    memory = cause["memory"]
    whose = "its node's" if shared else "its"
    limit = f"{whose} limit of {protocol.size(memory['limit_bytes'])} (memory)"
    return f"at {limit}" if memory["at_limit"] else f"because the machine had none left, below {limit}"


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):.0f} MiB"
