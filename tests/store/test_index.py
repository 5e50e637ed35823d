"""The dated index: newest first, lazily, and a dead submit does no harm."""

from __future__ import annotations

import random
import uuid
from itertools import islice
from pathlib import Path

import pytest

from airflow_train.exceptions import StoreError
from airflow_train.store import index
from airflow_train.store.files import Files


@pytest.fixture(params=["local", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """An empty store of each kind that needs no server."""
    return Files.open(tmp_path / "s" if request.param == "local" else f"memory://{uuid.uuid4()}/s")


def _created(choose: random.Random) -> str:
    day, hour, minute = (
        choose.choice(["2025-12-31", "2026-01-01", "2026-11-21"]),
        choose.choice([0, 9, 23]),
        choose.choice([0, 59]),
    )
    return f"{day}T{hour:02}:{minute:02}:{choose.choice([0, 5, 59]):02}.{choose.choice([0, 31, 999]):03}Z"


def test_newest_come_first_across_days_hours_and_milliseconds(files: Files) -> None:
    choose = random.Random(3)
    runs = [(_created(choose), f"run-{number}") for number in range(120)]
    for created, run_id in runs:
        index.add(files, run_id, "digits", created)
    assert list(index.newest(files)) == sorted(runs, reverse=True)


def test_runs_are_found_by_experiment_and_by_status(files: Files) -> None:
    for number, (experiment, status) in enumerate(
        [("a", "Completed"), ("a", "Failed"), ("b", "Completed"), ("b", "")]
    ):
        created = f"2026-11-21T05:00:00.00{number}Z"
        index.add(files, f"r{number}", experiment, created)
        if status:
            index.finish(files, f"r{number}", experiment, created, status)

    def ids(experiment: str | None = None, status: str | None = None) -> list[str]:
        return [run_id for _, run_id in index.newest(files, experiment=experiment, status=status)]

    assert ids() == ["r3", "r2", "r1", "r0"]
    assert ids("a") == ["r1", "r0"]
    assert ids(None, "Completed") == ["r2", "r0"]
    assert ids("b", "Completed") == ["r2"]
    assert ids(None, "Running") == ids("b", "Queued") == ["r3"]
    assert [run_id for _, run_id in index.active(files)] == ["r3"]
    assert ids("a", "Running") == ids("c") == []


def test_adding_and_finishing_again_changes_nothing(files: Files) -> None:
    created = "2026-11-21T05:00:00.031Z"
    for _ in range(2):
        index.add(files, "r", "a", created)
    for _ in range(2):
        index.finish(files, "r", "a", created, "Failed")
    assert list(index.newest(files)) == list(index.newest(files, status="Failed")) == [(created, "r")]
    assert index.active(files) == []


def test_a_submit_that_died_leaves_a_time_that_the_reader_can_tell(files: Files) -> None:
    index.add(files, "r", "a", "2026-11-21T05:00:00.031Z")
    index.add(files, "r", "a", "2026-11-21T05:00:07.000Z")
    assert [created for created, _ in index.newest(files)] == [
        "2026-11-21T05:00:07.000Z",
        "2026-11-21T05:00:00.031Z",
    ]
    assert {run_id for _, run_id in index.active(files)} == {"r"}


def test_a_removed_run_is_gone_from_every_view(files: Files) -> None:
    created = "2026-11-21T05:00:00.031Z"
    index.add(files, "r", "a", created)
    index.finish(files, "r", "a", created, "Completed")
    index.remove(files, "r", "a", created)
    assert list(index.newest(files)) == list(index.newest(files, experiment="a", status="Completed")) == []


@pytest.mark.parametrize("experiment", ["all", "..", ".", "a/b", "Übung 1", "x" * 300, "100%", "any"])
def test_any_experiment_name_has_its_own_place(files: Files, experiment: str) -> None:
    created = "2026-11-21T05:00:00.031Z"
    index.add(files, "mine", experiment, created)
    index.add(files, "other", "other", created)
    assert list(index.newest(files, experiment=experiment)) == [(created, "mine")]


def test_older_days_are_not_looked_at_until_they_are_needed(tmp_path: Path) -> None:
    files = Files.open(tmp_path)
    index.add(files, "new", "a", "2026-11-21T05:00:00.031Z")
    (tmp_path / "index/all/any/2026-11-20").write_text("a file here makes whoever lists this day fail")
    assert list(islice(index.newest(files), 1)) == [("2026-11-21T05:00:00.031Z", "new")]
    with pytest.raises(StoreError, match="2026-11-20"):
        list(index.newest(files))


def test_a_time_or_status_that_is_none_is_refused(files: Files) -> None:
    with pytest.raises(StoreError, match="is no time of a run: write UTC"):
        index.add(files, "r", "a", "2026-11-21 05:00")
    with pytest.raises(StoreError, match="allowed are Completed, Failed, Canceled"):
        index.finish(files, "r", "a", "2026-11-21T05:00:00.031Z", "Running")
