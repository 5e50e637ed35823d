"""Phases folded from events: what a run waited for, how long, and whether that was too long."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_train.runs.phases import Phase, fold
from airflow_train.runtime import protocol

CREATED = "2026-11-21T05:00:00.000Z"


def event(phase: str, second: int, reason: str = "") -> dict[str, Any]:
    return {
        "at": f"2026-11-21T05:00:{second:02d}.000Z",
        "status": protocol.PHASES[phase],
        "phase": phase,
        "reason": reason,
    }


def test_each_phase_ends_when_the_next_one_begins_and_the_last_one_goes_on() -> None:
    found = fold([event("start", 1), event("stage", 2), event("run", 5)], CREATED, {"stage": 60.0})

    assert [(one.name, one.limit, one.to_json()["seconds"]) for one in found] == [
        ("start", None, 1.0),
        ("stage", 60.0, 3.0),
        ("run", None, None),
    ]
    assert not found[1].overdue("2026-11-21T05:01:02.000Z")
    assert found[1].overdue("2026-11-21T05:01:02.001Z")


def test_the_same_phase_again_says_how_far_it_has_come() -> None:
    found = fold([event("stage", 2, "code"), event("stage", 9, "code, 400 files so far")], CREATED, {})

    assert (found[-1].reason, found[-1].since) == ("code, 400 files so far", event("stage", 2)["at"])


def test_a_run_that_is_handed_over_again_begins_again() -> None:
    found = fold([event("start", 1), event("start", 50)], CREATED, {})

    assert [(one.name, one.since) for one in found] == [("start", event("start", 50)["at"])]


def test_a_second_submitter_that_comes_late_does_not_turn_the_run_back() -> None:
    assert fold([event("stage", 2), event("start", 3)], CREATED, {})[-1].name == "stage"


def test_a_run_without_events_is_being_handed_over_since_it_was_created() -> None:
    (found,) = fold([], CREATED, {"start": 5.0}, CREATED)

    assert (found.name, found.since, found.limit, found.until) == ("start", CREATED, 5.0, CREATED)


@pytest.mark.parametrize(
    ("status", "phase"),
    [("Starting", "start"), ("Preparing", "stage"), ("Running", "run"), ("Finalizing", "collect")],
)
def test_events_of_earlier_versions_have_a_phase_too(status: str, phase: str) -> None:
    old = {"at": CREATED, "status": status, "reason": "it goes on"}

    assert fold([old], CREATED, {})[-1].name == phase


def test_a_limit_that_passed_is_named_with_its_mend() -> None:
    assert Phase("stage", "laying out the code", CREATED, 5.0).too_long("its supervisor was hanging") == (
        "Phase stage (laying out the code) took longer than its limit of 5 s, so the run was ended; its supervisor was "
        "hanging. Raise [train] stage_limit if it needs longer."
    )


def test_long_limits_are_said_as_their_option_says_them() -> None:
    assert Phase("run", "", CREATED, 2592000.0).words() == "phase run (limit 2592000 s)"
    assert Phase("stage", "", CREATED, 0.5).words() == "phase stage (limit 0.5 s)"
