"""An operator whose target lets it defer, in a real triggerer: its end, a user's mark and a user's clear."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.airflow_live.marks import Marks
from tests.airflow_live.rest import DagRun, Rest, until
from tests.targets.lab import processes_of

pytestmark = [pytest.mark.airflow_live, pytest.mark.timeout(240)]


def deferred(rest: Rest, marks: Marks) -> tuple[DagRun, str]:
    """A DAG run whose operator waits in the triggerer for a run that waits for `go`, and that run's id."""
    run = rest.trigger("deferred_operator", marks=marks.path)
    run.wait_for("train", "deferred")
    until(lambda: ") starting" in run.text("train"), what=run.logs)
    run_id = run.xcom("train", "run_id")
    until(lambda: processes_of(run_id), what=run.logs)
    return run, run_id


def test_it_ends_with_its_run_and_shows_the_output(rest: Rest, marks: Marks) -> None:
    run, run_id = deferred(rest, marks)
    marks.go()
    run.wait()
    found = run.xcom("train")
    assert (found["run_id"], found["status"]) == (run_id, "Completed")
    assert run.xcom("train", "metrics") == {"loss": 0.5}
    assert "[0] " in run.text("train")
    assert marks.starts() == 1


def test_marked_failed_while_it_is_deferred_its_processes_end(rest: Rest, marks: Marks) -> None:
    run, run_id = deferred(rest, marks)
    run.mark("train", "failed")
    until(lambda: not processes_of(run_id), what=run.logs)
    run.wait("failed")
    assert marks.starts() == 1


def test_cleared_while_it_is_deferred_it_trains_again_and_nothing_ends_the_new_run(
    rest: Rest, marks: Marks
) -> None:
    run, first = deferred(rest, marks)
    run.clear("train")
    until(lambda: marks.starts() == 2, what=run.logs)
    assert not processes_of(first)
    run.wait_for("train", "deferred", try_number=2)
    Path(marks.path, "go").touch()
    run.wait()
    assert run.xcom("train", "run_id") != first
    assert run.xcom("train", "status") == "Completed"
