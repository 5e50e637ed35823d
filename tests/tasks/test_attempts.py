"""Which run an attempt works on, at every point where the one before may have been killed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train.exceptions import NotOwner
from airflow_train.lifecycle.submit import submit
from airflow_train.lifecycle.wait import wait
from airflow_train.runs import ids
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.tasks import attempts
from airflow_train.tasks.identity import Attempt, Rule

KEY = "0123"
WAITS = "import pathlib, time\nwhile not pathlib.Path('{go}').exists(): time.sleep(0.02)\n"


def attempt(try_number: int, **changes: Any) -> Attempt:
    owner = str(uuid.UUID(int=try_number + 16 * changes.get("clear_number", 0)))
    facts = {"max_tries": 2, "clear_number": 0, "dag_run_start": "2026", **changes}
    return Attempt(run_id=ids.derived("train", owner), owner=owner, try_number=try_number, **facts)


def enter(store: RunStore, current: Attempt) -> attempts.Decision:
    return attempts.enter(store, KEY, current, f"try {current.try_number}")


@pytest.fixture
def store(store_uri: str) -> RunStore:
    return open_store(store_uri)


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """The script ends when this file exists."""
    return tmp_path / "go"


@pytest.fixture
def start(store: RunStore, tmp_path: Path, go: Path) -> Callable[..., None]:
    """Submits a run as the attempt would."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(WAITS.format(go=go))

    def submitted(current: Attempt, run_id: str) -> None:
        data = {"type": "Estimator", "source_directory": str(tmp_path / "code"), "entry_script": "train.py"}
        submit(store, {**data, "grace_seconds": 1}, run_id=run_id, owner=current.owner)

    return submitted


def test_killed_before_the_submit_the_next_try_submits_under_the_same_id(store: RunStore) -> None:
    first = enter(store, attempt(1))
    second = enter(store, attempt(2))
    assert (first.rule, second.rule) == (Rule.FIRST, Rule.RETRY)
    assert first.run_id == second.run_id == attempt(1).run_id
    assert enter(store, attempt(3)).run_id == first.run_id, "also when that one is killed as well"


def test_the_same_attempt_finds_its_run_again_and_writes_nothing_twice(store: RunStore) -> None:
    assert enter(store, attempt(1)).run_id == enter(store, attempt(1)).run_id
    assert store.files.numbers(layout.task(KEY)) == [1]


def test_a_live_run_is_taken_over_and_a_completed_one_is_the_result(
    store: RunStore, start: Callable[..., None], go: Path
) -> None:
    run_id = enter(store, attempt(1)).run_id
    start(attempt(1), run_id)
    assert enter(store, attempt(2)).run_id == run_id
    start(attempt(2), run_id)
    assert [one["owner"] for one in store.record(run_id).owners] == [attempt(1).owner, attempt(2).owner]
    go.touch()
    assert wait(store, run_id, timeout=30).status == "Completed"
    assert enter(store, attempt(3)).run_id == run_id


def test_after_a_run_that_was_cancelled_the_next_try_starts_anew(
    store: RunStore, start: Callable[..., None]
) -> None:
    run_id = enter(store, attempt(1)).run_id
    start(attempt(1), run_id)
    store.ask_cancel(run_id, "somebody", "")
    second = enter(store, attempt(2))
    assert second.run_id == attempt(2).run_id
    assert store.record(run_id).status == "Canceled", "which waits until the old one has ended"


def test_the_failed_run_is_offered_to_the_next_even_if_an_attempt_dies_before_its_submit(
    store: RunStore, start: Callable[..., None]
) -> None:
    run_id = enter(store, attempt(1)).run_id
    start(attempt(1), run_id)
    store.ask_cancel(run_id, "somebody", "")
    assert enter(store, attempt(2)).previous == run_id
    assert enter(store, attempt(2)).previous == run_id, "the same attempt again"
    third = enter(store, attempt(3))
    assert (third.run_id, third.previous) == (attempt(2).run_id, run_id)
    assert enter(store, attempt(4, clear_number=1, max_tries=6)).previous == "", "after a clear nothing is"


def test_a_clear_ends_the_old_run_first_and_a_kill_in_between_is_made_good(
    store: RunStore, start: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = enter(store, attempt(1)).run_id
    start(attempt(1), run_id)
    cleared = attempt(2, clear_number=1, max_tries=4)
    with monkeypatch.context() as killed:
        killed.setattr(attempts, "_until_end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            enter(store, cleared)
    retried = attempt(3, clear_number=1, max_tries=4)
    found = enter(store, retried)
    assert (found.rule, found.run_id) == (Rule.CLEARED, retried.run_id)
    assert store.record(run_id).status == "Canceled"
    assert store.owner(run_id) in (cleared.owner, retried.owner)


def test_a_run_that_is_submitted_late_after_its_task_was_cleared_never_starts(
    store: RunStore, start: Callable[..., None]
) -> None:
    late = enter(store, attempt(1)).run_id
    enter(store, attempt(2, clear_number=1, max_tries=4))
    start(attempt(1), late)
    assert wait(store, late, timeout=30).status == "Canceled"


def test_an_older_attempt_that_wakes_up_late_steps_back(store: RunStore) -> None:
    enter(store, attempt(1))
    enter(store, attempt(2))
    with pytest.raises(NotOwner, match="try 2"):
        attempts.check_newest(store, KEY, attempt(1))
    with pytest.raises(NotOwner, match="steps back"):
        enter(store, attempt(1))
