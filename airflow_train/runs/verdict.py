"""How a run ended: counted from exit records, not believed.

Success is one record that says 0 from every rank. Cancel asked and exit 0 is Canceled, unless every rank had said 0
before the request was seen. Nothing seen is no success.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from airflow_train.runs import diagnosis, times
from airflow_train.runs.record import RunRecord
from airflow_train.runs.status import Status
from airflow_train.runtime import protocol

#: reason → error code that people see; only infrastructure is worth the same again.
REASONS = (
    "completed",
    "script",  # a rank ended with an exit code or by a signal of its own making
    "out_of_memory",
    "time_limit",
    "no_progress",  # nothing came from any rank for longer than it may
    "phase_limit",  # something else than the script took longer than it may
    "canceled",
    "build_failed",  # the environment can't be built as it is written
    "could_not_start",  # the command can't be executed
    "infrastructure",  # killed from outside, supervisor or machine lost, outputs not collected
    "lost",  # nothing was heard any more
)


@dataclass(frozen=True)
class Verdict:
    """The last word on a run; the first one in the store wins."""

    status: Status
    reason: str
    #: One paragraph for people: what, where, why.
    message: str = ""
    rank: int | None = None
    node: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    exception: Mapping[str, str] | None = None
    last_lines: tuple[str, ...] = field(default=())
    started: str | None = None
    ended: str | None = None
    at: str = ""

    @property
    def retry_helps(self) -> bool:
        """Can the same run end differently?"""
        return self.reason in ("infrastructure", "lost", "phase_limit")

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store."""
        return {**asdict(self), "last_lines": list(self.last_lines)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Rebuild a verdict from the store."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        return cls(**{**known, "last_lines": tuple(data.get("last_lines", ()))})


def judge(record: RunRecord, now: str, lost: str | None = None, node: int | None = None) -> Verdict:
    """Verdict on a run of which nothing lives any more.

    :param now: time of judging.
    :param lost: what became of the supervisor when it left no report, as half a sentence.
    :param node: the node of that supervisor, where there are several.
    """
    exits = record.exits
    complete = len(exits) == record.spec.world_size
    ended = max((str(one["ended"]) for one in exits.values()), default=None)
    failed = Verdict("Failed", "infrastructure", started=record.started, ended=ended, at=now)
    stopped = record.stop["reason"] if record.stop else None
    problem = record.report["error"] if record.report else None
    if complete and stopped is None and all(map(diagnosis.ended_well, exits.values())):
        if problem:
            return replace(failed, message=f"Every rank ended well, but {problem}.")
        return replace(failed, status="Completed", reason="completed")
    if stopped == protocol.STOP_CANCEL or (stopped is None and not complete and record.cancel is not None):
        return replace(failed, status="Canceled", reason="canceled", message=_canceled(record))
    orphaned = [one for one in exits.values() if one["stopped_by"] == protocol.SUPERVISOR_LOST]
    bad = [one for one in exits.values() if not diagnosis.ended_well(one)]
    if stopped is None and record.cancel is not None and bad and len(bad) == len(orphaned):
        return replace(failed, status="Canceled", reason="canceled", message=_canceled(record))
    if stopped == protocol.STOP_TIME_LIMIT:
        limit = times.limit(record.spec.job["max_run_duration_seconds"])
        message = f"The run took longer than its limit of {limit} (max_run_duration_seconds) and was stopped."
        return replace(failed, reason="time_limit", message=message + _starved(record))
    if stopped == protocol.STOP_NO_PROGRESS and record.stop:
        return _hung(failed, record, record.stop)
    if stopped == protocol.STOP_PHASE_LIMIT and record.stop:
        ended_well = complete and all(map(diagnosis.ended_well, exits.values()))
        if record.stop["phase"] != "collect" or ended_well:
            phase = next(
                (one for one in record.phases if one.name == record.stop["phase"]), record.phases[-1]
            )
            message = phase.too_long(record.stop.get("detail", ""))
            return replace(failed, reason="phase_limit", message=message)
    if stopped in (protocol.STOP_LAUNCHER, protocol.STOP_OUTSIDE, protocol.STOP_NODE_LOST) and record.stop:
        message = f"The run was lost: {record.stop['detail']}."
        return replace(failed, message=message, node=record.stop.get("node"))
    if problem and not exits:
        why = (record.report or {}).get("reason") or failed.reason
        return replace(failed, reason=why, message=f"Nothing was started: {problem}.")
    return _failed(failed, record, lost, node)


def _failed(failed: Verdict, record: RunRecord, lost: str | None, node: int | None) -> Verdict:
    cause = diagnosis.root_cause(record.exits.values(), record.stop)
    missing = record.spec.world_size - len(record.exits)
    if cause is None or (missing and lost):
        what = lost or "no rank left a record of how it ended"
        count = f"{len(record.exits)} of {record.spec.world_size} ranks left an exit record"
        return replace(failed, message=f"The run was lost: {what}; {count}.", node=node)
    more = _seen_first(record, cause) or _left_early(record, cause)
    return replace(
        failed,
        reason=diagnosis.reason(cause),
        message=f"{diagnosis.sentence(cause, record.spec.world_size)} {more}".rstrip(),
        rank=cause["rank"],
        node=cause["node"],
        exit_code=cause["code"],
        signal=cause["signal"],
        exception=cause["exception"],
        last_lines=tuple(cause["last_lines"]),
    )


def _starved(record: RunRecord) -> str:
    said = diagnosis.starved(record.exits.values(), record.spec.world_size)
    return f" {said}" if said else ""


def _seen_first(record: RunRecord, cause: diagnosis.Json) -> str:
    """What the supervisor saw failing first, where that was a consequence."""
    seen = record.exits.get((record.stop or {}).get("rank", -1))
    consequence = seen is not None and seen is not cause and diagnosis.lost_memory(cause)
    return diagnosis.sentence(seen, record.spec.world_size) if seen and consequence else ""


def _left_early(record: RunRecord, cause: diagnosis.Json) -> str:
    """Who was waited for in vain, where ranks wait for each other."""
    kind = (record.spec.job["distribution"] or {}).get("type")
    together = kind in ("mpi", "pytorch", "tensorflow")
    return diagnosis.left_early(cause, record.exits.values(), mpi=kind == "mpi") if together else ""


def _hung(failed: Verdict, record: RunRecord, stop: Mapping[str, Any]) -> Verdict:
    seconds = record.spec.job["no_progress_timeout"]
    message = (
        f"No progress: no line of output and no metric came for {times.limit(seconds)} (no_progress_timeout), so "
        f"the run was stopped. {stop['detail']}. The stacks of all ranks are in their logs.{_starved(record)}"
    )
    found = record.exits.get(stop["rank"]) or record.starts.get(stop["rank"]) or {}
    return replace(failed, reason="no_progress", message=message, rank=stop["rank"], node=found.get("node"))


def _canceled(record: RunRecord) -> str:
    if record.cancel is None:
        return "The run was cancelled."
    why = f": {record.cancel['reason']}" if record.cancel.get("reason") else ""
    return f"The run was cancelled by {record.cancel.get('by') or 'somebody'}{why}."
