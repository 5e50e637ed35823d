"""A run from definition to verdict: submitted once, moved on by whoever looks, followed, stopped by its owner."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_train.exceptions import (
    DefinitionError,
    InfrastructureFailure,
    NotOwner,
    RunCanceled,
    RunFailed,
    RunNotFound,
    SnapshotError,
    TimeLimitReached,
    UnsupportedByTarget,
)
from airflow_train.lifecycle import cancel, observe, wait
from airflow_train.lifecycle.experiment import Experiment
from airflow_train.lifecycle.follow import Follower
from airflow_train.lifecycle.run import Run
from airflow_train.lifecycle.submit import dry_run, submit
from airflow_train.runs import ids
from airflow_train.runs.verdict import Verdict
from airflow_train.runtime import protocol
from airflow_train.store import index, layout
from tests.targets.lab import Lab, until


def definition(sources: Path, name: str, *arguments: str, **more: Any) -> dict[str, Any]:
    params = dict.fromkeys(arguments, "")
    said = {"type": "Estimator", "source_directory": str(sources / name), "entry_script": "train.py"}
    return {**said, "script_params": params, "compute_target": "local", **more}


# ---------------------------------------------------------------------- submit


def test_a_definition_becomes_a_run_with_metrics_outputs_and_snapshot(
    lab: Lab, sources: Path, tmp_path: Path
) -> None:
    run = Experiment("digits", lab.store).submit(
        definition(sources, "prints_and_logs", "--x"), tags={"a": "b"}
    )

    assert run.wait_for_completion()["status"] == "Completed"
    assert (run.experiment, run.tags, run.get_metrics("accuracy")) == (
        "digits",
        {"a": "b"},
        {"accuracy": [0.5, 0.97]},
    )
    assert "outputs/model.txt" in run.get_file_names()
    assert (run.restore_snapshot(str(tmp_path / "code")) / "train.py").read_text() == (
        sources / "prints_and_logs" / "train.py"
    ).read_text()
    assert [one.id for one in Experiment("digits", lab.store).get_runs()] == [run.id]


def test_the_same_id_submitted_again_is_the_same_run(lab: Lab, sources: Path) -> None:
    first = submit(lab.store, definition(sources, "prints_and_logs"), run_id="train-abc")
    lab.wait(first.run_id)
    again = submit(lab.store, definition(sources, "fails"), run_id="train-abc", owner="second")

    assert again == first
    assert lab.store.owner("train-abc") == "second"
    assert lab.wait("train-abc").status == "Completed"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"entry_script": "nowhere.py"}, DefinitionError),
        ({"source_directory": "/nowhere"}, (DefinitionError, SnapshotError)),
        ({"apt_packages": ["git"]}, UnsupportedByTarget),
        ({"entry_scrip": "x"}, DefinitionError),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_written(
    lab: Lab, sources: Path, change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        submit(lab.store, {**definition(sources, "fails"), **change})

    assert lab.store.files.list("runs") == lab.store.files.list("snapshots") == []


def test_a_dry_run_shows_the_plan_and_leaves_no_trace(lab: Lab, sources: Path) -> None:
    plan = dry_run(lab.store, definition(sources, "fails")).to_json()

    assert plan["launch"]["command"][-1] == "train.py"
    assert lab.store.files.list("runs") == []


@pytest.mark.parametrize("run_id", ["manual__2026-11-21", "../x", "A"])
def test_an_id_that_is_none_is_refused(lab: Lab, sources: Path, run_id: str) -> None:
    with pytest.raises(DefinitionError, match=r"run id|DAG run"):
        submit(lab.store, definition(sources, "fails"), run_id=run_id)
    with pytest.raises(RunNotFound):
        Run(run_id, lab.store)


# ---------------------------------------------------------------------- wait and look


def test_a_run_that_nobody_started_is_started_by_whoever_waits_for_it(lab: Lab) -> None:
    spec = lab.spec("pass")
    lab.store.create(spec)

    assert observe.look(lab.store, spec.run_id).status == "NotStarted"
    assert lab.wait(spec.run_id).status == "Completed"
    assert lab.marks(spec.run_id) == ["start 0"]


def test_a_supervisor_that_can_not_be_started_ends_the_run_after_some_tries(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "START_AFTER", 0.0)
    monkeypatch.setattr("airflow_train.targets.local.target.sys.executable", "/bin/true")
    said = lab.wait(lab.start("pass", interpreter_path="/bin/true")).record.verdict or {}

    assert said["reason"] == "infrastructure"
    assert "could not be started" in said["message"]


def test_a_dead_supervisor_shows_until_its_ranks_have_ended(lab: Lab) -> None:
    run_id = lab.start("signal.signal(signal.SIGTERM, signal.SIG_IGN); mark('ready'); time.sleep(1000)")
    lab.marked(run_id, "ready")
    os.kill(lab.supervisor(run_id), signal.SIGKILL)

    until(lambda: observe.look(lab.store, run_id).status == "NotResponding", 1)
    until(lambda: observe.look(lab.store, run_id).status == "Failed", 2.5)
    said = lab.store.record(run_id).verdict or {}
    assert said["message"].startswith("The run was lost: its supervisor (process ")
    assert Verdict.from_json(said).retry_helps


def test_a_run_on_another_machine_is_given_up_only_when_its_lease_ran_out(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim names a host that can't be seen from here."""
    spec = lab.spec("pass")
    lab.store.create(spec)
    lab.store.take_claim(spec.run_id, {**protocol.identity(), "host": "elsewhere"})
    beat = layout.heartbeat(spec.run_id)
    lab.store.files.write_json(beat, {"at": protocol.timestamp(time.time() - 20), "beat": 1})
    assert not wait.wait(lab.store, spec.run_id, poll_interval=0.05, timeout=0.2).terminal

    lab.store.files.write_json(beat, {"at": protocol.timestamp(time.time() - 301), "beat": 1})
    assert not observe.look(lab.store, spec.run_id).terminal, "one look by another clock proves nothing"
    monkeypatch.setattr(protocol, "HEARTBEAT_SECONDS", 0.05)
    view = wait.wait(lab.store, spec.run_id, poll_interval=0.05, timeout=10)
    assert view.status == "Failed"
    assert "on elsewhere hasn't been heard of for 30 s" in view.record.reason


def test_a_machine_that_died_before_its_first_heartbeat_is_given_up_too(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = lab.spec("pass")
    lab.store.create(spec)
    claim = {**protocol.identity(), "host": "elsewhere", "at": protocol.timestamp(time.time() - 40)}
    lab.store.take_claim(spec.run_id, claim)
    monkeypatch.setattr(protocol, "HEARTBEAT_SECONDS", 0.05)
    assert wait.wait(lab.store, spec.run_id, poll_interval=0.05, timeout=10).status == "Failed"


def test_a_reader_that_is_held_up_never_sees_a_report_without_the_exit_records(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = lab.start("pass")
    report = lab.path(run_id, "node_0", "report.json")
    read_ranks = lab.store._ranks

    def held_up(*arguments: Any) -> Any:
        found = read_ranks(*arguments)
        until(report.exists)
        return found

    monkeypatch.setattr(lab.store, "_ranks", held_up)
    assert wait.wait(lab.store, run_id, timeout=20).status == "Completed"


def test_a_run_that_nobody_started_is_started_by_one_look_that_may(lab: Lab) -> None:
    spec = replace(lab.spec("pass"), created=protocol.timestamp(time.time() - 5))
    lab.store.create(spec)
    assert observe.look(lab.store, spec.run_id).status == "NotStarted"
    observe.look(lab.store, spec.run_id, may_start=True)
    assert lab.wait(spec.run_id).status == "Completed"


def test_an_owner_that_lost_a_run_does_not_get_it_back(lab: Lab) -> None:
    spec = lab.spec("pass")
    lab.store.create(spec)
    for owner in ("first", "second", "first"):
        lab.store.add_owner(spec.run_id, owner)
    assert lab.store.owner(spec.run_id) == "second"


def test_whoever_submits_may_think_again_before_anything_starts(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("print(1)")
    data = {"type": "Estimator", "source_directory": str(tmp_path / "src"), "entry_script": "train.py"}

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        submit(lab.store, data, run_id="thought-again", before_start=stop)
    assert cancel.cancel(lab.store, "thought-again").status == "Canceled"
    assert lab.store.record("thought-again").starts == {}


def test_lines_that_no_script_wrote_keep_no_run_from_its_verdict(lab: Lab) -> None:
    run_id = lab.start(
        """
        os.makedirs(os.path.dirname(os.environ["AIRFLOW_TRAIN_METRICS"]), exist_ok=True)
        with open(os.environ["AIRFLOW_TRAIN_METRICS"], "w") as file:
            file.write('5\\n{"k":"tags","v":{"sta{"k":"scalar","n":"loss","v":0.5,"t":1}\\n{"k":"scalar"}\\n')
        """
    )
    assert lab.wait(run_id).status == "Completed"
    assert lab.store.last_metrics(run_id) == {"loss": 0.5}
    assert lab.store.tags(lab.store.spec(run_id)) == {}


def test_waiting_ends_with_the_time_that_it_was_given(lab: Lab) -> None:
    run_id = lab.start("time.sleep(1000)")
    began = time.monotonic()

    assert Run(run_id, lab.store).wait_for_completion(timeout=0.3)["status"] in (
        "NotStarted",
        "Preparing",
        "Running",
    )
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("code", "job", "error", "words"),
    [
        ("raise ValueError('the data is bad')", {}, RunFailed, "ValueError: the data is bad"),
        (
            "time.sleep(99)",
            {"max_run_duration_seconds": 1, "grace_seconds": 0},
            TimeLimitReached,
            "limit of 1 s",
        ),
        ("os.kill(os.getpid(), 9)", {}, InfrastructureFailure, "SIGKILL"),
    ],
)
def test_a_bad_end_is_a_typed_error_with_run_and_last_lines(
    lab: Lab, code: str, job: dict[str, Any], error: type[Exception], words: str
) -> None:
    run_id = lab.start(f"print('last words'); {code}", **job)

    with pytest.raises(error, match=words) as caught:
        Run(run_id, lab.store).wait_for_completion()
    assert f"Run {run_id} failed: " in str(caught.value)
    assert ("\n  last words" in str(caught.value)) == (error is not TimeLimitReached)


# ---------------------------------------------------------------------- cancel


def test_only_the_newest_owner_may_stop_a_run_on_behalf_of_a_task(lab: Lab) -> None:
    run_id = lab.start("time.sleep(1000)")
    for owner in ("first", "second"):
        lab.store.add_owner(run_id, owner)

    with pytest.raises(NotOwner, match=f"run {run_id} belongs to second now, so first doesn't stop it"):
        cancel.cancel_as(lab.store, run_id, "first", "killed", "a task")
    assert lab.store.record(run_id).cancel is None
    cancel.cancel_as(lab.store, run_id, "second", "killed", "a task")
    with pytest.raises(RunCanceled, match="cancelled by a task: killed"):
        Run(run_id, lab.store).wait_for_completion()


def test_a_cancel_holds_although_the_supervisor_dies_over_it(lab: Lab) -> None:
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN); mark('ready'); time.sleep(1000)"
    run_id = lab.start(code, grace_seconds=30)
    lab.marked(run_id, "ready")
    cancel.cancel(lab.store, run_id)
    until(lambda: lab.store.record(run_id).stop is not None)
    os.kill(lab.supervisor(run_id), signal.SIGKILL)

    assert lab.wait(run_id).status == "Canceled"
    assert lab.nothing_left(run_id)


# ---------------------------------------------------------------------- follow and list


def test_following_gives_each_line_once_and_a_half_line_when_it_is_whole(lab: Lab) -> None:
    run_id = ids.drawn("follow")
    log = lab.path(run_id, "files", "user_logs", "std_log_process_{}.txt")
    log.parent.mkdir(parents=True)
    follower = Follower(lab.store, run_id)
    with Path(str(log).format(0)).open("wb", 0) as zero, Path(str(log).format(10)).open("wb", 0) as ten:
        zero.write(b"2026-11-21T05:00:00.002Z b\n2026-11-21T05:00:00.003Z ha")
        ten.write(b"2026-11-21T05:00:00.001Z a\n")
        assert [(line.rank, line.text) for line in follower.poll()] == [(10, "a"), (0, "b")]
        assert follower.poll() == []
        zero.write(b"lf\n2026-11-21T05:00:00.004Z last")
        assert [line.text for line in follower.poll()] == ["half"]

    assert [line.text for line in follower.drain()] == ["last"]


def test_a_listing_tells_the_truth_about_runs_whose_processes_died(lab: Lab) -> None:
    run_id = lab.start("mark('ready'); time.sleep(1000)")
    lab.marked(run_id, "ready")
    os.kill(lab.supervisor(run_id), signal.SIGKILL)
    until(lambda: not protocol.alive(dict(lab.started(run_id)[0]["wrapper"])), 3)
    observe.refresh(lab.store)

    assert [(one.run_id, one.status) for one in lab.store.list_runs()] == [(run_id, "Failed")]
    assert lab.store.active() == []


def test_outputs_that_can_not_be_collected_stay_for_a_person(lab: Lab) -> None:
    """Files stand where the folder of outputs, and the one beside it, have to be made."""
    run_id = lab.start(
        """
        open("outputs/model", "w").write("weights")
        for name in ("outputs", "outputs.conflict-1"):
            open(os.path.join(os.environ["AIRFLOW_TRAIN_FILES"], name), "w").close()
        """
    )
    said = lab.wait(run_id).record.verdict or {}

    assert (said["status"], said["reason"]) == ("Failed", "infrastructure")
    assert "outputs could not be collected" in said["message"]
    assert lab.path(run_id, "node_0", "work", "outputs", "model").read_text() == "weights"


def test_what_a_dead_submit_left_in_the_index_goes_when_somebody_lists(lab: Lab) -> None:
    spec = lab.spec("pass")
    lab.store.create(replace(spec, created=protocol.timestamp(time.time() - 60)))
    (lab.path(spec.run_id) / "spec.json").unlink()
    lab.store.create(spec)
    assert [created for created, _ in index.active(lab.store.files)] != [spec.created]
    assert lab.store.active() == [spec.run_id]
    assert [created for created, _ in index.active(lab.store.files)] == [spec.created]


def test_what_can_not_be_removed_after_the_verdict_fails_nobody_who_waited(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = lab.start("pass")
    root = lab.store.files.local_root
    assert root is not None
    markers = list(root.glob(f"index/*/active/*-{run_id}"))
    for marker in markers:  # as only whoever looks later can remove them
        marker.unlink()
        marker.mkdir()
    with ExitStack() as ends:
        view = wait.wait(lab.store, run_id, timeout=60, ends=ends)

    assert markers
    assert view.status == "Completed"
    assert f"Run {run_id} has ended, but not all of it was removed: " in caplog.text
    for marker in markers:
        marker.rmdir()
        marker.touch()
    lab.look(run_id)
    assert lab.store.settled(view.record.spec)
