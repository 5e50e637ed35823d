"""One training task in a real Airflow: what it tells, how it fails, and what kill, clear and mark do to its run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from tests.airflow_live.marks import Marks
from tests.airflow_live.rest import Rest, until
from tests.airflow_live.standalone import Standalone, parent
from tests.targets.lab import processes_of

pytestmark = [pytest.mark.airflow_live, pytest.mark.timeout(240)]

TAKEN_OVER = "takes the live run over"
#: Seconds between Airflow's answer to a user who ends a task and the end of the last process of its run.
GONE_WITHIN = 5


def test_the_form_reaches_the_script_and_log_xcom_links_and_rendered_yaml_show_the_run(
    rest: Rest, standalone: Standalone, marks: Marks
) -> None:
    run = rest.trigger("one_task", marks=marks.path, manner="end").wait()
    assert marks.starts() == 1
    told = run.xcom("train")
    assert (told["status"], told["metrics"]) == ("Completed", {"loss": 0.5})
    assert run.xcom("train", "run_id") == told["run_id"]
    assert Path(told["outputs_uri"]).is_relative_to(standalone.store)
    [line] = [one for one in run.log("train") if one["event"].startswith("[0]")]
    assert (line["event"], line["logger"]) == ("[0] manner: end", "rank.0")
    shown = run.task("train")["rendered_fields"]["estimator"]
    assert shown.startswith("type: Estimator\nsource_directory: training/obeys\n")
    assert "MANNER: end" in shown
    assert run.links("train").keys() == {"Run folder", "Run logs"}
    for address in run.links("train").values():
        assert httpx.get(urljoin(standalone.address, address), trust_env=False).status_code == 200


def test_a_failure_names_rank_exception_and_last_lines_in_the_task_log(rest: Rest, marks: Marks) -> None:
    run = rest.trigger("one_task", marks=marks.path, manner="fail").wait("failed")
    assert run.xcom("train", "status") is None
    run_id = run.xcom("train", "run_id")
    [error] = [one for one in run.log("train", run.task("train")["try_number"]) if one.get("error_detail")]
    [raised] = error["error_detail"]
    assert raised["exc_type"] == "RunFailed"
    assert run_id in raised["exc_value"]
    assert "ValueError: the weather was bad" in raised["exc_value"]
    assert "manner: fail" in raised["exc_value"]


def test_retries_take_over_the_runs_of_workers_that_were_killed(rest: Rest, tmp_path: Path) -> None:
    """One worker loses the process that supervises the task, the other the task's own process as well."""
    both = [Marks(str(tmp_path / name)) for name in ("supervisor only", "both")]
    runs = [rest.trigger("one_task", marks=marks.path, manner="wait") for marks in both]
    for run, marks in zip(runs, both, strict=True):
        until(lambda marks=marks: marks.starts() == 1, what=run.logs)
    victims = [run.task("train")["pid"] for run in runs]
    for pid in [*map(parent, victims), victims[1]]:
        os.kill(pid, signal.SIGKILL)
    for run, marks in zip(runs, both, strict=True):
        run.wait_for("train", "running", try_number=2)
        until(lambda run=run: TAKEN_OVER in run.text("train", 2), what=run.logs)
        marks.go()
        run.wait()
        assert marks.starts() == 1
        assert run.xcom("train", "status") == "Completed"


def test_a_cleared_task_trains_again(rest: Rest, marks: Marks) -> None:
    run = rest.trigger("one_task", marks=marks.path, manner="end").wait()
    first = run.xcom("train", "run_id")
    run.clear("train")
    run.wait_for("train", "success", try_number=2)
    assert marks.starts() == 2
    assert run.xcom("train", "run_id") != first


def test_a_task_marked_failed_leaves_no_process_after_five_seconds(rest: Rest, marks: Marks) -> None:
    run = rest.trigger("one_task", marks=marks.path, manner="wait")
    until(lambda: marks.starts() == 1, what=run.logs)
    run_id = run.xcom("train", "run_id")
    assert processes_of(run_id)
    run.mark("train", "failed")
    answered = time.monotonic()
    until(lambda: not processes_of(run_id), what=run.logs)
    assert time.monotonic() - answered < GONE_WITHIN
    run.wait("failed")
    assert run.task("train")["try_number"] == 1


def test_mapped_tasks_are_runs_of_their_own(rest: Rest, marks: Marks) -> None:
    run = rest.trigger("mapped_tasks", marks=marks.path).wait("failed")
    ended = {index: run.task("train", index)["state"] for index in range(3)}
    assert ended == {0: "success", 1: "failed", 2: "success"}
    assert len({run.xcom("train", "run_id", index) for index in range(3)}) == 3
    assert marks.starts() == 3
    assert "the weather was bad" in str(run.log("train", map_index=1))
