"""What comes next, as a table: nobody is judged by what couldn't be seen."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from airflow_train.definitions.job import Job
from airflow_train.lifecycle.steps import Step, next_step, shown_status, silent
from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec
from airflow_train.targets.base import Observation

SPEC = RunSpec("r", "e", "", {}, asdict(Job("Estimator", ".")), {}, {})
CLAIM, CANCEL, REPORT, VERDICT = {"host": "h"}, {"by": "me"}, {"by": "supervisor"}, {"status": "Failed"}
LOOKER = {"host": "h", "by": "looker"}
UNSEEN = Observation(None, None)
OLD = {"age": 40.0, "watched": 12.0}


@pytest.mark.parametrize(
    ("documents", "seen", "times", "step"),
    [
        ({}, UNSEEN, {}, Step.START),
        ({"cancel": CANCEL}, UNSEEN, {}, Step.CANCEL_UNSTARTED),
        ({"claim": CLAIM}, Observation(True, None), {}, Step.WAIT),
        ({"claim": CLAIM, "cancel": CANCEL}, Observation(True, True), {}, Step.WAIT),
        # a dead supervisor: its ranks have two seconds to end, then somebody collects
        ({"claim": CLAIM}, Observation(False, True), {}, Step.WAIT),
        ({"claim": CLAIM}, Observation(False, False), {}, Step.COLLECT),
        ({"claim": CLAIM}, Observation(False, None), {}, Step.COLLECT),
        # not a supervisor but somebody who gave up a run that never began
        ({"claim": LOOKER}, Observation(True, None), {}, Step.WAIT),
        ({"claim": LOOKER}, Observation(True, None), {**OLD, "overdue": True}, Step.JUDGE_UNSTARTED),
        ({"claim": LOOKER, "cancel": CANCEL}, Observation(False, None), {}, Step.JUDGE_UNSTARTED),
        ({"claim": LOOKER}, UNSEEN, {}, Step.WAIT),
        # a report ends everything, even while its writer is still on its way out
        ({"claim": CLAIM, "report": REPORT}, Observation(True, False), {}, Step.JUDGE),
        ({"claim": CLAIM, "report": REPORT}, UNSEEN, OLD, Step.JUDGE),
        # another machine: unseen is not dead, only a lease that ran out is
        ({"claim": CLAIM}, UNSEEN, {}, Step.WAIT),
        ({"claim": CLAIM}, UNSEEN, {"age": 40.0, "watched": 1.0}, Step.WAIT),
        ({"claim": CLAIM}, UNSEEN, {"age": 20.0, "watched": 60.0}, Step.WAIT),
        ({"claim": CLAIM}, UNSEEN, OLD, Step.GIVE_UP),
        ({"claim": CLAIM}, Observation(None, True), OLD, Step.WAIT),
        # nothing comes after the verdict
        ({"verdict": VERDICT}, UNSEEN, {}, Step.DONE),
        ({"verdict": VERDICT, "claim": CLAIM}, Observation(False, False), OLD, Step.DONE),
    ],
)
def test_the_next_step(
    documents: dict[str, Any], seen: Observation, times: dict[str, Any], step: Step
) -> None:
    record = RunRecord(SPEC, **documents)

    assert next_step(record, seen, **{"age": 0.0, "watched": 0.0, **times}) is step


def test_a_clock_alone_gives_nobody_up() -> None:
    assert not silent(age=35, watched=0)
    assert not silent(age=100_000, watched=0)
    assert not silent(age=-500, watched=3600)
    assert silent(age=31, watched=10.1)


@pytest.mark.parametrize(
    ("seen", "age", "shown"),
    [
        (Observation(True, True), 0, "Running"),
        (Observation(True, True), 99, "Running"),
        (Observation(False, True), 0, "NotResponding"),
        (UNSEEN, 29, "Running"),
        (UNSEEN, 31, "NotResponding"),
    ],
)
def test_a_running_run_whose_supervisor_is_not_heard_does_not_respond(
    seen: Observation, age: float, shown: str
) -> None:
    events = ({"status": "Running", "reason": ""},)

    assert shown_status(RunRecord(SPEC, events=events, claim=CLAIM), seen, age) == shown
