"""What a run waits for: each phase with its name, reason, beginning, end and limit, folded from the events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_train.runs import status as statuses
from airflow_train.runs.times import limit
from airflow_train.runtime import protocol

#: phase → the option that mends a limit which is too short.
OPTIONS: Mapping[str, str] = {
    **{name: f"[train] {name}_limit" for name in protocol.LIMITED},
    "run": "max_run_duration_seconds",
}
#: Of events that name no phase, as older versions wrote them.
_OF_STATUS = {
    **{status: name for name, status in reversed(protocol.PHASES.items())},
    "Preparing": "stage",
}


@dataclass(frozen=True)
class Phase:
    """A part of a run's life."""

    #: One of `protocol.PHASES`.
    name: str
    #: Why the run is there, in a few words; empty when the name says it all.
    reason: str
    #: UTC, ISO 8601.
    since: str
    #: Seconds that it may take; None for no limit.
    limit: float | None = None
    #: When the next one began, or the run ended; None while it goes on.
    until: str | None = None

    @property
    def status(self) -> str:
        """The status that people see meanwhile."""
        return protocol.PHASES.get(self.name, "Running")

    def to_json(self) -> dict[str, Any]:
        """Plain data; `seconds` is how long it took."""
        return {**asdict(self), "seconds": self.seconds(self.until) if self.until else None}

    def seconds(self, now: str) -> float:
        """How long it has gone on at a time."""
        return round(max(0.0, protocol.seconds_of(now) - protocol.seconds_of(self.since)), 3)

    def overdue(self, now: str) -> bool:
        """Has it gone on for longer than it may at a time, by the clocks?"""
        return self.limit is not None and self.seconds(now) > self.limit

    def words(self) -> str:
        """For people: `phase stage: laying out the code (limit 3600 s)`."""
        reason = f": {self.reason}" if self.reason else ""
        within = "" if self.limit is None else f" (limit {limit(self.limit)})"
        return f"phase {self.name}{reason}{within}"

    def too_long(self, detail: str = "") -> str:
        """What became of a run that stayed here for longer than it may, with the mend."""
        doing = f" ({self.reason})" if self.reason else ""
        more = f"; {detail}" if detail else ""
        return (
            f"Phase {self.name}{doing} took longer than its limit of {limit(self.limit or 0)}, so the run was "
            f"ended{more}. Raise {OPTIONS.get(self.name, 'the limit')} if it needs longer."
        )


def fold(
    events: Iterable[Mapping[str, Any]], created: str, limits: Mapping[str, float], end: str | None = None
) -> tuple[Phase, ...]:
    """All phases of a run in their order; the last one goes on unless the run has ended.

    :param created: when the run was created, which is when it begins to be handed over.
    :param limits: phase → seconds.
    :param end: when the run ended.
    """
    found = [Phase("start", "not handed over yet", created, limits.get("start"))]
    for event in sorted(events, key=lambda event: statuses.position(event["status"])):
        name = str(event.get("phase") or _OF_STATUS.get(event["status"], "run"))
        now = Phase(name, str(event["reason"]), str(event["at"]), limits.get(name))
        if len(found) == 1 and name == "start":
            found = [now]  # whoever hands it over again begins again
        elif found[-1].name == name:
            found[-1] = replace(found[-1], reason=now.reason)
        else:
            found[-1] = replace(found[-1], until=now.since)
            found.append(now)
    found[-1] = replace(found[-1], until=end)
    return tuple(found)
