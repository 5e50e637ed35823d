"""Whoever looks at a run sees what is so, though events get lost, engines are others' and people tidy up."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_train import targets
from airflow_train.lifecycle import observe, wait
from airflow_train.targets.docker import engine as calls
from airflow_train.targets.docker import observe as watching
from airflow_train.targets.docker import plan
from tests.targets.lab import DOCKER, IMAGE, Lab, changed_image, docker, docker_objects, until
from tests.targets.private_engine import PrivateEngine
from tests.targets.relay import Relay
from tests.targets.strikes import Strike

pytestmark = [
    pytest.mark.docker,
    pytest.mark.only("docker"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

WAITS = "mark('ready')\nwhile not os.path.exists(os.environ['MARK'] + '.go'): time.sleep(0.02)"


def go(lab: Lab, run_id: str) -> None:
    lab.mark_file(run_id).with_suffix(".marks.go").touch()


def test_the_end_is_seen_though_a_network_forgot_the_stream_of_events(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_SILENCE", 0.5)
    relay = Relay(str(tmp_path / "relay.sock"))
    lab.target = {**DOCKER, "options": {**DOCKER["options"], "host": relay.address}}
    try:
        run_id = lab.start(WAITS)
        lab.marked(run_id, "ready")
        watcher = observe.Watcher(lab.store, run_id)
        until(lambda: watcher.look().status == "Running" and watcher.glance() is False)
        relay.lose_events()
        go(lab, run_id)
        docker("wait", plan.container_name(run_id))

        until(lambda: watcher.look().status == "Completed")
    finally:
        watching.watch(calls.Engine(lab.target["options"])).end()
        relay.close()


def test_who_reaches_another_engine_takes_no_run_for_removed(
    lab: Lab, own_engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = lab.start(WAITS)
    lab.marked(run_id, "ready")
    with monkeypatch.context() as elsewhere:
        elsewhere.delenv("DOCKER_HOST")
        seen = lab.look(run_id)
    go(lab, run_id)

    assert not seen.terminal
    assert lab.wait(run_id).status == "Completed"
    assert own_engine.docker("ps", "-aq") == ""


def test_outputs_come_home_although_container_and_image_were_pruned(lab: Lab) -> None:
    """`docker system prune -a` leaves volumes alone."""
    docker("tag", IMAGE, "airflow-train-test/pruned")
    job: dict[str, Any] = {"environment": {"image": "airflow-train-test/pruned"}}
    run_id = lab.start("open('outputs/kept', 'w').write('yes'); mark('end')", **job)
    docker("wait", plan.container_name(run_id))
    docker("rm", plan.container_name(run_id))
    docker("rmi", "airflow-train-test/pruned")

    assert lab.wait(run_id).status == "Completed"
    assert lab.output(run_id, "outputs/kept") == "yes"
    assert lab.nothing_left(run_id)


def test_cancelled_between_claim_and_start_the_script_never_begins(lab: Lab) -> None:
    spec = lab.spec("mark('ran')")
    target: Any = targets.get(spec.target)
    target._engine.start = lambda name: None  # its submitter is killed here
    lab.store.create(spec)
    target.submit(spec, lab.store)
    lab.store.ask_cancel(spec.run_id, "a test", "enough")

    assert lab.wait(spec.run_id).status == "Canceled"
    assert lab.marks(spec.run_id) == []
    assert lab.nothing_left(spec.run_id)


def test_a_submitter_that_was_taken_for_dead_keeps_the_container_it_has_started(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an image whose interpreter is `python`, for which a container is made anew."""
    rename = "import os; os.rename('/usr/bin/python3', '/usr/bin/python')"
    image = changed_image("only-python", "python3", "-c", rename)
    spec = lab.spec(WAITS, environment={"image": image})
    lab.store.create(spec)
    target: Any = targets.get(spec.target)
    target._engine.create(target.plan(spec, lab.store))  # so far the slow one has come
    monkeypatch.setattr("airflow_train.targets.docker.target._POLITE", 0.0)
    slow = Strike("stat", "before", lambda: targets.get(spec.target).submit(spec, lab.store))
    monkeypatch.setattr(calls.Engine, "stat", slow)
    target.submit(spec, lab.store)
    lab.marked(spec.run_id, "ready")
    go(lab, spec.run_id)

    assert slow.struck
    assert lab.wait(spec.run_id).status == "Completed"
    assert lab.marks(spec.run_id) == ["start 0", "ready"]


def test_a_run_that_is_given_up_before_its_start_leaves_nothing(lab: Lab) -> None:
    spec = replace(lab.spec("mark('ran')"), limits={"start": 0.2})
    lab.store.create(spec)
    lab.store.add_event(spec.run_id, "start", "handing over", "submitter")
    target: Any = targets.get(spec.target)
    target._engine.create(target.plan(spec, lab.store))  # its submitter is killed here
    until(lambda: lab.look(spec.run_id).terminal)

    assert (lab.store.record(spec.run_id).verdict or {})["reason"] == "phase_limit"
    assert lab.nothing_left(spec.run_id)


#: Argument: URI of the store, run. Waits for its end, and dies with the removal of its container just begun.
KILLED = """
import os, sys
from contextlib import ExitStack
from airflow_train.lifecycle import wait
from airflow_train.store.run_store import open_store
view = wait.wait(open_store(sys.argv[1]), sys.argv[2], timeout=60, ends=ExitStack())
os.kill(os.getpid(), 9 if view.terminal else 15)
"""


def test_who_has_something_else_to_do_knows_the_end_before_the_container_is_removed(lab: Lab) -> None:
    run_id = lab.start("pass")
    with ExitStack() as ends:
        view = wait.wait(lab.store, run_id, timeout=60, ends=ends)
        assert view.status == "Completed"
    assert lab.store.settled(view.record.spec)
    assert docker_objects(run_id) == []


def test_who_looks_next_removes_what_a_killed_process_was_removing(lab: Lab) -> None:
    run_id = lab.start("pass")
    killed = subprocess.run([sys.executable, "-c", KILLED, lab.store.uri, run_id], timeout=90, check=False)
    assert killed.returncode == -signal.SIGKILL

    view = lab.look(run_id)

    assert view.status == "Completed"
    assert lab.store.settled(view.record.spec)
    assert docker_objects(run_id) == []
