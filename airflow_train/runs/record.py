"""Everything the store knows of one run, and the status that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_train.runs import phases
from airflow_train.runs import status as statuses
from airflow_train.runs.phases import Phase
from airflow_train.runs.spec import RunSpec
from airflow_train.runs.status import Status

Json = Mapping[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """The write-once documents of a run as they stood when they were read (shapes: `runtime/protocol.py`)."""

    spec: RunSpec
    owners: tuple[Json, ...] = ()
    events: tuple[Json, ...] = ()
    cancel: Json | None = None
    claim: Json | None = None
    heartbeat: Json | None = None
    stop: Json | None = None
    #: rank → start record, rank → exit record
    starts: Mapping[int, Json] = field(default_factory=dict)
    exits: Mapping[int, Json] = field(default_factory=dict)
    report: Json | None = None
    verdict: Json | None = None

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.spec.run_id

    @property
    def owner(self) -> str | None:
        """Token of the newest owner; only that one may act on the run."""
        return str(self.owners[-1]["owner"]) if self.owners else None

    @property
    def status(self) -> Status:
        """The state machine's answer: the verdict, else a cancel request, else the furthest event."""
        if self.verdict is not None:
            ended: Status = self.verdict["status"]
            return ended
        if self.cancel is not None:
            return "CancelRequested"
        return statuses.latest(event["status"] for event in self.events)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """What the run has waited for, and waits for now; the last one goes on until the verdict."""
        longest = self.spec.job.get("max_run_duration_seconds")
        limits = self.spec.limits if longest is None else {**self.spec.limits, "run": float(longest)}
        ended = None if self.verdict is None else str(self.verdict["at"])
        return phases.fold(self.events, self.spec.created, limits, ended)

    @property
    def phase(self) -> Phase | None:
        """What the run waits for now; None when it has ended."""
        return None if self.terminal else self.phases[-1]

    @property
    def terminal(self) -> bool:
        """Has somebody judged the run?"""
        return self.verdict is not None

    @property
    def reason(self) -> str:
        """Why the run stands where it does, in a few words; empty when there is nothing to say."""
        if self.verdict is not None:
            return str(self.verdict.get("message", ""))
        status = self.status
        return next(
            (str(event["reason"]) for event in reversed(self.events) if event["status"] == status), ""
        )

    @property
    def started(self) -> str | None:
        """When the first rank started; None while none has."""
        times = [str(one["at"]) for one in self.starts.values()]
        return min(times) if times else None

    @property
    def ended(self) -> str | None:
        """When the last rank ended or, where none ran, when the run was judged."""
        if self.verdict is None:
            return None
        return str(self.verdict.get("ended") or self.verdict["at"])
