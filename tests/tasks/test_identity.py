"""Which attempt continues which: the table of `reference/airflow-api.md` §1, row by row."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_train.runs import ids
from airflow_train.tasks import identity
from airflow_train.tasks.identity import Attempt, Rule, continues, rule

START = "2026-11-21T05:00:00.000000+00:00"
LATER = "2026-11-21T06:00:00.000000+00:00"
FIRST = Attempt("train-a", "owner-1", try_number=1, max_tries=2, clear_number=0, dag_run_start=START)


def after(**changes: Any) -> Attempt:
    """The attempt after the first one; every event but a resume brings a new owner and the next try."""
    return replace(FIRST, **{"owner": "owner-2", "try_number": 2, **changes})


@pytest.mark.parametrize(
    ("event", "attempt", "expected"),
    [
        ("deferred and resumed", FIRST, Rule.SAME),
        ("retry", after(), Rule.RETRY),
        ("retry after another task of the dag run was cleared", after(clear_number=1), Rule.RETRY),
        ("clear of a finished task, its dag run going on", after(clear_number=1, max_tries=3), Rule.CLEARED),
        ("clear, its dag run had finished", after(clear_number=1, max_tries=3, dag_run_start=LATER), Rule.NEW_DAG_RUN),
        ("clear of a running task", after(clear_number=1, max_tries=4), Rule.CLEARED),
        ("running task cleared while its worker was dead: misread", after(clear_number=1), Rule.RETRY),
        ("dag run deleted and created again", after(try_number=1, dag_run_start=LATER), Rule.NEW_DAG_RUN),
    ],
)  # fmt: skip
def test_an_event_continues_the_run_or_starts_anew(event: str, attempt: Attempt, expected: Rule) -> None:
    assert rule(FIRST, attempt) is expected, event
    assert continues(FIRST, attempt) is (expected in (Rule.SAME, Rule.RETRY)), event


def test_a_first_attempt_continues_nothing() -> None:
    assert rule(None, FIRST) is Rule.FIRST


def test_an_older_attempt_that_wakes_up_late_is_told_apart_from_a_clear() -> None:
    assert rule(after(), FIRST) is Rule.STALE
    assert rule(after(try_number=1, dag_run_start=LATER), FIRST) is Rule.STALE


def context(map_index: int = -1, **changes: Any) -> dict[str, Any]:
    """What Airflow hands to a task, as far as identity reads it."""
    names = {"dag_id": "dag", "run_id": "manual__1", "task_id": "Train it", "map_index": map_index}
    ti = SimpleNamespace(**{"id": uuid.UUID(int=1), "try_number": 1, "max_tries": 2, **names, **changes})
    started = datetime(2026, 11, 21, 6, tzinfo=timezone(timedelta(hours=1)))
    return {"ti": ti, "dag_run": SimpleNamespace(clear_number=None, start_date=started)}


def test_the_run_id_derives_from_the_task_instance_and_is_valid() -> None:
    attempt = identity.attempt_of(context())
    assert attempt.owner == str(uuid.UUID(int=1))
    assert attempt.run_id == ids.derived("Train it", attempt.owner)
    assert attempt.run_id.startswith("train-it-")
    assert ids.problem(attempt.run_id) is None
    assert attempt.dag_run_start == datetime(2026, 11, 21, 5, tzinfo=UTC).isoformat(timespec="microseconds")


def test_every_map_index_has_a_chain_of_its_own() -> None:
    keys = {identity.task_key(context(map_index=index)) for index in (-1, 0, 1)}
    assert len(keys) == 3
    assert identity.task_key(context()) == identity.task_key(context(try_number=5))


def test_an_attempt_survives_the_store() -> None:
    assert Attempt.from_json({**FIRST.to_json(), "added_later": 1}) == FIRST
