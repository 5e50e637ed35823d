"""Phases of real runs: named as they happen, ended when they take too long, by the supervisor or whoever looks."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_train import config
from airflow_train.exceptions import ConfigurationError
from airflow_train.lifecycle import observe
from airflow_train.lifecycle.run import Run
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.targets.local.target import LocalTarget
from tests.targets.lab import Lab, processes_of, until

TWO = {"distribution": {"type": "pytorch"}, "process_count_per_node": 2}


def limited(lab: Lab, code: str, limits: dict[str, float], **job: Any) -> RunSpec:
    """A spec whose phases may take so many seconds."""
    return replace(lab.spec(code, **job), limits=limits)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks in this process takes half a second of silence for a hanging supervisor."""
    monkeypatch.setattr(protocol, "LEASE_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "HEARTBEAT_SECONDS", 0.1)


def hanging_in_stage(lab: Lab) -> RunSpec:
    """A run whose code comes from a disk that never answers."""
    spec = limited(lab, "mark('ran')", {"stage": 0.2})
    entries = lab.store.files.read_json(layout.snapshot(spec.snapshot["id"]))["entries"]
    blob = Path(lab.store.files.join(layout.blob(entries[0][4])))
    blob.unlink()
    os.mkfifo(blob)
    return spec


@pytest.mark.parametrize(
    ("job", "names"),
    [({}, ["start", "stage", "run", "collect"]), (TWO, ["start", "stage", "meet", "run", "collect"])],
)
def test_every_phase_is_there_with_its_duration(lab: Lab, job: dict[str, Any], names: list[str]) -> None:
    run_id = lab.run("pass", **job).record.run_id
    phases = Run(run_id, lab.store).get_phases()

    assert [one.name for one in phases] == names
    assert all(one.until is not None and one.since <= one.until for one in phases)


def test_a_run_meets_until_its_last_rank_has_started(lab: Lab) -> None:
    view = lab.run("pass", **TWO)
    run = next(one for one in view.record.phases if one.name == "run")

    assert all(one["at"] <= run.since for one in view.record.starts.values())


def test_a_phase_that_takes_too_long_is_ended_by_the_supervisor(lab: Lab) -> None:
    spec = limited(lab, "mark('ran')", {"stage": 1e-6})
    many = lab.snapshot({f"{number}.txt": b"%d" % number for number in range(20)})
    spec = replace(spec, snapshot={"id": many, "files": 20, "bytes": 20})
    lab.submit(spec)
    verdict = lab.wait(spec.run_id).record.verdict or {}

    assert (verdict["status"], verdict["reason"]) == ("Failed", "phase_limit")
    assert verdict["message"].startswith(
        "Phase stage (laying out the code) took longer than its limit of 1e-06 s"
    )
    assert "[train] stage_limit" in verdict["message"]
    assert lab.marks(spec.run_id) == []
    assert lab.nothing_left(spec.run_id)


def test_outputs_that_take_too_long_to_collect_stay_for_a_person(lab: Lab) -> None:
    spec = limited(lab, "[open(f'outputs/{n}', 'w').close() for n in range(3)]", {"collect": 1e-6})
    lab.submit(spec)
    record = lab.wait(spec.run_id).record

    assert (record.verdict or {})["reason"] == "phase_limit"
    assert "collect_limit" in (record.verdict or {})["message"]
    assert len(list(lab.path(spec.run_id, "node_0", "work", "outputs").iterdir())) == 2


def test_a_script_that_failed_is_named_even_if_collecting_took_too_long(lab: Lab) -> None:
    spec = limited(lab, "open('outputs/a', 'w').close(); sys.exit(3)", {"collect": 1e-6})
    lab.submit(spec)

    assert (lab.wait(spec.run_id).record.verdict or {})["exit_code"] == 3


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("stopped", [False, True])
def test_a_supervisor_that_hangs_in_a_phase_is_ended_by_whoever_looks(lab: Lab, stopped: bool) -> None:
    spec = hanging_in_stage(lab)
    lab.submit(spec)
    supervisor = lab.supervisor(spec.run_id)
    until(lambda: lab.store.record(spec.run_id).phases[-1].name == "stage")
    if stopped:
        os.kill(supervisor, signal.SIGSTOP)
    verdict = lab.wait(spec.run_id).record.verdict or {}

    assert (verdict["status"], verdict["reason"]) == ("Failed", "phase_limit")
    assert verdict["message"].startswith(
        "Phase stage (laying out the code) took longer than its limit of 0.2 s"
    )
    assert "its supervisor was hanging" in verdict["message"]
    assert protocol.start_time(supervisor) is None
    assert lab.nothing_left(spec.run_id)


@pytest.mark.usefixtures("impatient")
def test_whoever_looks_next_ends_what_a_killed_looker_had_begun_to_end(lab: Lab) -> None:
    spec = hanging_in_stage(lab)
    lab.submit(spec)
    lab.supervisor(spec.run_id)
    lab.store.stop(spec.run_id, "stage")

    assert (lab.wait(spec.run_id).record.verdict or {})["reason"] == "phase_limit"
    assert lab.nothing_left(spec.run_id)


@pytest.mark.usefixtures("impatient")
def test_a_run_whose_supervisor_hangs_keeps_its_time_limit(lab: Lab) -> None:
    run_id = lab.start("mark('ready'); time.sleep(1000)", max_run_duration_seconds=1)
    lab.marked(run_id, "ready")
    os.kill(lab.supervisor(run_id), signal.SIGSTOP)
    os.kill(lab.started(run_id)[0]["wrapper"]["pid"], signal.SIGSTOP)

    assert (lab.wait(run_id).record.verdict or {})["reason"] == "time_limit"
    assert lab.nothing_left(run_id)


def test_a_supervisor_that_is_heard_of_keeps_its_limits_itself(lab: Lab) -> None:
    run_id = lab.start("mark('ready'); signal.pause()", max_run_duration_seconds=1000)
    lab.marked(run_id, "ready")
    record = lab.store.record(run_id)
    late = replace(record.phases[-1], limit=0.0)

    assert late.overdue(protocol.timestamp())
    assert observe.look(lab.store, run_id).status == "Running"


def test_handing_over_has_a_limit_and_whoever_may_starts_the_run_instead(lab: Lab) -> None:
    given_up, started = (limited(lab, "mark('ran')", {"start": 1.0}) for _ in range(2))
    for spec in (given_up, started):
        lab.store.create(spec)
    until(lambda: lab.store.record(started.run_id).phases[-1].overdue(protocol.timestamp()))
    verdict = observe.look(lab.store, given_up.run_id).record.verdict or {}

    assert (verdict["status"], verdict["reason"]) == ("Failed", "phase_limit")
    assert verdict["message"].startswith(
        "Phase start (not handed over yet) took longer than its limit of 1 s"
    )
    assert lab.wait(started.run_id).status == "Completed"
    assert processes_of(given_up.run_id) == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("state", ["silent", "killed"])
def test_a_looker_that_took_a_run_and_says_no_more_is_spared_and_relieved(lab: Lab, state: str) -> None:
    """Whoever gives up a run that never began takes its claim: a worker or a notebook, which nobody may end."""
    spec = limited(lab, "mark('ran')", {"start": 0.1})
    lab.store.create(spec)
    with subprocess.Popen(["sleep", "1000"]) as looker:
        who = {**protocol.identity(looker.pid), "at": protocol.timestamp(), "by": protocol.LOOKER}
        lab.store.take_claim(spec.run_id, who)
        if state == "killed":
            looker.kill()
        until(lambda: lab.store.record(spec.run_id).phases[-1].overdue(protocol.timestamp()))
        verdict = lab.wait(spec.run_id).record.verdict or {}
        spared = looker.poll() is None
        looker.kill()

    assert spared or state == "killed"
    assert verdict["reason"] == "phase_limit"
    assert verdict["message"].endswith("so the run was ended. Raise [train] start_limit if it needs longer.")
    assert lab.marks(spec.run_id) == []


@pytest.mark.usefixtures("impatient")
def test_a_hanging_supervisor_of_another_user_holds_nobody_up(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = hanging_in_stage(lab)
    lab.submit(spec)
    lab.supervisor(spec.run_id)
    watcher, ends = observe.Watcher(lab.store, spec.run_id), []
    monkeypatch.setattr(LocalTarget, "end", lambda self, record, store: ends.append(record.run_id))
    until(lambda: watcher.look().overdue and ends)

    assert watcher.look().status == "Preparing"


@pytest.mark.parametrize("text", ["nan", "inf", "1e400", "an hour"])
def test_a_limit_that_is_no_finite_number_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AIRFLOW_TRAIN_STAGE_LIMIT", text)
    with pytest.raises(ConfigurationError) as caught:
        config.get_number("stage_limit")

    assert str(caught.value).startswith(f"[train] stage_limit is {text!r} but must be a finite number")
