"""Runs in containers, for which a real triggerer waits: their end, a user's mark and clear, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.airflow_live.marks import Marks
from tests.airflow_live.rest import DagRun, Rest, until
from tests.targets.lab import docker_objects
from tests.targets.relay import Relay

pytestmark = [
    pytest.mark.airflow_live,
    pytest.mark.docker,
    pytest.mark.usefixtures("docker_engine"),
    pytest.mark.timeout(240),
]


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    """The way that all of Airflow's processes take to the engine."""
    made = Relay(str(tmp_path / "relay.sock"))
    yield made
    made.close()


def deferred(rest: Rest, marks: Marks, relay: Relay, task: str = "train") -> tuple[DagRun, str]:
    """A DAG run with a task that waits in the triggerer for a container that waits for `go`; that run's id."""
    dag_id, starts = {"train": "waits_in_container", "wait": "watches_container"}[task], marks.starts()
    run = rest.trigger(dag_id, marks=marks.path, host=relay.address)
    run.wait_for(task, "deferred")
    until(lambda: ") starting" in run.text(task), what=run.logs)
    until(lambda: marks.starts() > starts, what=run.logs)
    return run, str(run.xcom("train" if task == "train" else "submit", "run_id"))


def test_operator_and_sensor_end_with_their_runs_and_hear_of_them_by_one_stream(
    rest: Rest, marks: Marks, relay: Relay
) -> None:
    found = [deferred(rest, marks, relay, task) for task in ("train", "train", "wait")]
    until(lambda: relay.streams == 1, what=lambda: relay.streams)  # the workers that submitted have gone
    marks.go()
    for run, run_id in found:
        run.wait()
        task = "train" if run.dag_id == "waits_in_container" else "wait"
        told = run.xcom(task)
        assert (told["run_id"], told["status"], told["metrics"]) == (run_id, "Completed", {"loss": 0.5})
        assert run.task(task)["try_number"] == 1
        assert docker_objects(run_id) == []
    assert "[0] manner: wait" in found[0][0].text("train")
    assert marks.starts() == 3


def test_marked_failed_while_it_is_deferred_its_container_goes(
    rest: Rest, marks: Marks, relay: Relay
) -> None:
    run, run_id = deferred(rest, marks, relay)
    assert docker_objects(run_id)
    run.mark("train", "failed")
    until(lambda: not docker_objects(run_id), what=run.logs)
    run.wait("failed")
    assert marks.starts() == 1


def test_cleared_while_it_is_deferred_it_trains_again(rest: Rest, marks: Marks, relay: Relay) -> None:
    run, first = deferred(rest, marks, relay)
    run.clear("train")
    until(lambda: marks.starts() == 2, what=run.logs)
    run.wait_for("train", "deferred", try_number=2)
    marks.go()
    run.wait()
    assert run.xcom("train", "run_id") != first
    assert run.xcom("train", "status") == "Completed"
    until(lambda: not docker_objects(first), what=run.logs)
