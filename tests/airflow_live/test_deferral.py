"""A sensor that waits in the triggerer of a real Airflow: it ends with its run, and a user or `kill -9` is survived."""

from __future__ import annotations

import pytest

from tests.airflow_live.marks import Marks
from tests.airflow_live.rest import DagRun, Rest, until
from tests.airflow_live.standalone import Standalone
from tests.targets.lab import processes_of

pytestmark = [pytest.mark.airflow_live, pytest.mark.timeout(240)]


def deferred(rest: Rest, marks: Marks) -> tuple[DagRun, str]:
    """A DAG run whose sensor waits in the triggerer for a run that waits for `go`, and that run's id."""
    run = rest.trigger("deferred_sensor", marks=marks.path, manner="wait")
    run.wait_for("wait", "deferred")
    until(lambda: ") starting" in run.text("wait"), what=run.logs)
    run_id = run.xcom("submit", "run_id")
    until(lambda: processes_of(run_id), what=run.logs)
    return run, run_id


def test_a_deferred_sensor_ends_with_its_run(rest: Rest, marks: Marks) -> None:
    run, run_id = deferred(rest, marks)
    marks.go()
    run.wait()
    found = run.xcom("wait")
    assert (found["run_id"], found["metrics"]) == (run_id, {"loss": 0.5})
    assert run.task("wait")["try_number"] == 1


def test_a_sensor_marked_failed_while_it_is_deferred_ends_its_run(rest: Rest, marks: Marks) -> None:
    run, run_id = deferred(rest, marks)
    run.mark("wait", "failed")
    until(lambda: not processes_of(run_id), what=run.logs)
    run.wait("failed")


def test_a_triggerer_that_was_killed_loses_no_run_and_leaves_none(
    rest: Rest, standalone: Standalone, marks: Marks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another takes its triggers; a run whose user ended it meanwhile is ended by the next who looks at the store."""
    other_marks = Marks(str(tmp_path_factory.mktemp("other")))
    (goes_on, _), (ended, orphan) = deferred(rest, marks), deferred(rest, other_marks)
    standalone.kill("triggerer")
    ended.mark("wait", "failed")
    standalone.start("triggerer")
    assert processes_of(orphan)
    marks.go()
    goes_on.wait()
    assert goes_on.task("wait")["try_number"] == 1
    assert goes_on.xcom("wait")["status"] == "Completed"
    until(lambda: not processes_of(orphan), what=ended.logs)
    assert other_marks.starts() == 1
