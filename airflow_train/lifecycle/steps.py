"""What comes next for a run: a pure function of what is written and what can be seen."""

from __future__ import annotations

from enum import Enum

from airflow_train.runs.record import RunRecord
from airflow_train.runs.status import Status
from airflow_train.runtime import protocol
from airflow_train.targets.base import Observation


class Step(Enum):
    """What the one who looks should do."""

    DONE = "the verdict is there"
    START = "nobody has started it"
    CANCEL_UNSTARTED = "cancelled before anybody started it"
    JUDGE_UNSTARTED = "somebody took it so that nobody starts it, and has not said how it ended"
    WAIT = "somebody is at it"
    COLLECT = "the supervisor died: bring home what is there"
    JUDGE = "nothing lives any more"
    GIVE_UP = "nothing was heard from another machine for too long"
    NOT_STARTED = "handing it over took longer than it may"
    END = "its supervisor hangs in a phase that took longer than it may"


def next_step(
    record: RunRecord, seen: Observation, age: float, watched: float, overdue: bool = False
) -> Step:
    """The next step.

    :param age: seconds between the time in the newest heartbeat and now, by clocks that may differ.
    :param watched: seconds for which this process itself has seen that same heartbeat.
    :param overdue: has the present phase gone on for longer than it may?
    """
    if record.verdict is not None:
        return Step.DONE
    if record.claim is None:
        if record.cancel is not None:
            return Step.CANCEL_UNSTARTED
        return Step.NOT_STARTED if overdue else Step.START
    if record.report is not None:
        return Step.JUDGE
    if record.claim.get("by") == protocol.LOOKER:  # not a supervisor: nothing to collect, nothing to end
        gone = seen.supervisor is False or silent(age, watched)
        return Step.JUDGE_UNSTARTED if gone else Step.WAIT
    if seen.supervisor is True or seen.ranks is True:
        # a supervisor that does its work keeps the limits itself
        return Step.END if overdue and silent(age, watched) else Step.WAIT
    if seen.supervisor is False:
        return Step.COLLECT
    return Step.GIVE_UP if silent(age, watched, seen.patience) else Step.WAIT


def silent(age: float, watched: float, patience: float | None = None) -> bool:
    """Is a supervisor gone that can't be seen, or does one hang that can? Its clock alone never decides: this process
    has to have watched too.

    :param patience: seconds of silence that mean nothing; the lease by default.
    """
    lease = protocol.LEASE_SECONDS
    longest = lease if patience is None else patience
    return age > longest and watched > max(2 * protocol.HEARTBEAT_SECONDS, longest - lease)


def shown_status(record: RunRecord, seen: Observation, age: float) -> Status:
    """The status that people see: Running turns into NotResponding while its supervisor isn't heard."""
    unheard = seen.supervisor is None and age > protocol.LEASE_SECONDS
    quiet = seen.supervisor is False or seen.paused or unheard
    return (
        "NotResponding" if record.status == "Running" and quiet and record.report is None else record.status
    )
