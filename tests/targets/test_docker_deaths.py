"""Whoever submits or looks may die at any moment, and the engine may be away: nothing is lost, nothing runs twice."""

from __future__ import annotations

import gc
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_train.lifecycle import observe
from airflow_train.lifecycle.follow import Follower
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import parcel
from airflow_train.store import layout
from airflow_train.targets.docker import observe as watching
from airflow_train.targets.docker import plan
from airflow_train.targets.docker.engine import Engine
from tests.targets import strikes
from tests.targets.lab import DOCKER, Lab, docker, until
from tests.targets.relay import Relay

#: The package docker leaves sockets to the garbage collector when an engine goes away.
_SOCKETS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
pytestmark = [pytest.mark.docker, pytest.mark.only("docker"), _SOCKETS]

LOOK = """
import sys
from airflow_train.lifecycle import wait
from airflow_train.store.run_store import open_store
print("begins", flush=True)
wait.wait(open_store(sys.argv[1]), sys.argv[2], poll_interval=0.05)
"""


def begun(code: str, lab: Lab, run_id: str) -> subprocess.Popen[bytes]:
    """A process that is about to act on a run."""
    process = subprocess.Popen([sys.executable, "-c", code, lab.store.uri, run_id], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begins\n"
    return process


def killed_after(process: subprocess.Popen[bytes], seconds: float) -> None:
    """KILL it, unless it is done before."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize(
    ("call", "moment"),
    [
        ("find_image", "after"),
        ("create", "after"),
        ("stat", "after"),
        ("put", "before"),
        ("put", "after"),
        ("start", "before"),
        ("start", "after"),
    ],
)
def test_a_submitter_that_is_killed_leaves_a_run_that_the_next_one_finishes(
    lab: Lab, call: str, moment: str
) -> None:
    spec = lab.spec("open('outputs/kept', 'w').write('yes'); mark('ran')")
    lab.store.create(spec)

    assert strikes.worker("submit", lab.store.uri, spec.run_id, call, moment) == -signal.SIGKILL
    assert lab.wait(spec.run_id).status == "Completed"
    assert lab.marks(spec.run_id) == ["start 0", "ran"]
    assert lab.output(spec.run_id, "outputs/kept") == "yes"
    assert lab.nothing_left(spec.run_id)


@pytest.mark.parametrize(
    ("call", "moment"),
    [("last_words", "before"), ("last_words", "after"), ("remove", "after"), ("remove_volume", "after")],
)
def test_a_judge_that_is_killed_leaves_a_run_that_the_next_one_judges(
    lab: Lab, call: str, moment: str
) -> None:
    large = (
        f"open('outputs/large', 'wb').write(bytes({parcel.MOST}))"  # no container says that as its last words
    )
    run_id = lab.start(f"for n in range(200): open(f'outputs/{{n}}', 'w').write(str(n))\n{large}")
    docker("wait", plan.container_name(run_id))

    assert strikes.worker("look", lab.store.uri, run_id, call, moment) == -signal.SIGKILL
    assert lab.wait(run_id).status == "Completed"
    assert [lab.output(run_id, f"outputs/{n}") for n in (0, 199)] == ["0", "199"]
    assert lab.nothing_left(run_id)


@pytest.mark.parametrize("call", strikes.FINISH)
def test_who_finishes_the_work_of_a_dead_supervisor_may_be_killed(lab: Lab, call: str) -> None:
    run_id = lab.start("open('outputs/half', 'w').write('kept'); mark('ready'); signal.pause()")
    lab.marked(run_id, "ready")
    lab.kill_supervisor(run_id)

    assert strikes.worker("look", lab.store.uri, run_id, call, "after") == -signal.SIGKILL
    assert (lab.wait(run_id).record.verdict or {})["reason"] == "infrastructure"
    assert lab.output(run_id, "outputs/half") == "kept"
    assert lab.nothing_left(run_id)


def test_no_line_is_lost_or_repeated_when_readers_die(lab: Lab) -> None:
    """Twenty readers are killed while a million lines come."""
    lines = 1_000_000
    code = f"""
    for begin in range(0, {lines}, 10_000):
        print("\\n".join(map(str, range(begin, begin + 10_000))), flush=True)
        time.sleep(0.05)
    """
    run_id = lab.start(code)
    deaths = 0
    while deaths < 20:
        killed_after(begun(LOOK, lab, run_id), random.uniform(0.02, 0.3))
        deaths += 1

    assert lab.wait(run_id).status == "Completed"
    assert lab.lines(run_id) == [str(n) for n in range(lines)]


def test_one_who_follows_sees_every_line_once_while_others_follow_too(lab: Lab) -> None:
    run_id = lab.start("for n in range(3000):\n    print(n, flush=True); time.sleep(0.001)")
    others = [begun(LOOK, lab, run_id) for _ in range(2)]
    follower, seen = Follower(lab.store, run_id), []
    while not observe.look(lab.store, run_id).terminal:
        seen += [line.text for line in follower.poll()]
        time.sleep(0.05)
    seen += [line.text for line in follower.drain()]
    for other in others:
        other.communicate()

    assert seen == [str(n) for n in range(3000)]


def test_segments_that_have_come_home_leave_the_volume(lab: Lab) -> None:
    run_id = lab.start("while True:\n    print('x' * 100_000, flush=True); time.sleep(0.01); mark('said')")
    lab.marked(run_id, "said")
    stored = lab.path(run_id, "node_0", "outbox")

    def cleared() -> bool:
        lab.look(run_id)
        inside = docker("exec", plan.container_name(run_id), "ls", plan.OUTBOX).split()
        return stored.exists() and len(list(stored.iterdir())) > 20 > len(inside)

    until(cleared, 60)


# ---------------------------------------------------------------------- the engine


@pytest.fixture
def relay(tmp_path: Path) -> Any:
    """A way to the engine that can be cut."""
    made = Relay(str(tmp_path / "relay.sock"))
    yield made
    watch = watching.watch(Engine({"host": made.address}))
    watch.end()
    made.close()
    watch._thread.join(10)
    gc.collect()


def through(relay: Relay) -> dict[str, Any]:
    return {**DOCKER, "options": {**DOCKER["options"], "host": relay.address}}


def test_while_the_engine_is_away_a_run_is_unknown_not_lost(lab: Lab, relay: Relay) -> None:
    lab.target = through(relay)
    run_id = lab.start(
        "mark('ready')\nwhile not os.path.exists(os.environ['MARK'] + '.go'): time.sleep(0.02)"
    )
    lab.marked(run_id, "ready")
    watcher = observe.Watcher(lab.store, run_id)
    until(lambda: watcher.look().status == "Running")
    relay.cut()
    away = [watcher.look().status for _ in range(3)]
    relay.mend()
    lab.mark_file(run_id).with_suffix(".marks.go").touch()

    assert away == ["Running"] * 3
    assert lab.wait(run_id).status == "Completed"


def test_a_run_whose_engine_was_restarted_is_lost_with_its_outputs_kept(lab: Lab, relay: Relay) -> None:
    """Without live-restore an engine that starts again kills what it finds running."""
    lab.target = through(relay)
    run_id = lab.start("open('outputs/half', 'w').write('kept'); mark('ready'); signal.pause()")
    lab.marked(run_id, "ready")
    watcher = observe.Watcher(lab.store, run_id)
    until(lambda: watcher.look().status == "Running")
    relay.cut()
    docker("kill", plan.container_name(run_id))
    assert not watcher.look().terminal
    relay.mend()
    found = lab.wait(run_id).record.verdict or {}

    assert (found["reason"], lab.marks(run_id).count("start 0")) == ("infrastructure", 1)
    assert lab.output(run_id, "outputs/half") == "kept"
    assert lab.nothing_left(run_id)


def test_events_that_were_missed_are_asked_for_again(lab: Lab, relay: Relay) -> None:
    lab.target = through(relay)
    run_id = lab.start(
        "mark('ready')\nwhile not os.path.exists(os.environ['MARK'] + '.go'): time.sleep(0.02)"
    )
    lab.marked(run_id, "ready")
    watcher = observe.Watcher(lab.store, run_id)
    until(lambda: watcher.look().status == "Running")
    relay.cut()
    lab.mark_file(run_id).with_suffix(".marks.go").touch()
    docker("wait", plan.container_name(run_id))
    relay.mend()

    until(watcher.glance)
    assert watcher.look().status == "Completed"


def test_the_image_may_be_gone_when_a_run_ends(lab: Lab) -> None:
    docker("tag", DOCKER["options"]["image"], "airflow-train-test/passing")
    spec: RunSpec = lab.spec(
        "mark('ready'); time.sleep(0.3)", environment={"image": "airflow-train-test/passing"}
    )
    lab.submit(spec)
    lab.marked(spec.run_id, "ready")
    docker("rmi", "airflow-train-test/passing")

    assert lab.wait(spec.run_id).status == "Completed"


def test_a_retry_whose_image_was_deleted_is_told_so(lab: Lab) -> None:
    docker("tag", DOCKER["options"]["image"], "localhost:9/airflow-train-test/deleted")
    job: dict[str, Any] = {"environment": {"image": "localhost:9/airflow-train-test/deleted"}}
    assert lab.run("sys.exit(1)", **job).status == "Failed"
    docker("rmi", "localhost:9/airflow-train-test/deleted")
    found = lab.run("pass", **job).record.verdict or {}

    assert found["reason"] == "infrastructure"
    assert "isn't on the Docker engine" in found["message"]
    assert "its registry doesn't answer" in found["message"]


def test_everything_of_a_run_carries_its_labels(lab: Lab) -> None:
    run_id = lab.start("mark('ready'); signal.pause()")
    lab.marked(run_id, "ready")
    labels = json.loads(docker("inspect", plan.container_name(run_id)))[0]["Config"]["Labels"]
    volume = json.loads(docker("volume", "inspect", plan.volume_name(run_id)))[0]["Labels"]

    assert labels[plan.RUN_LABEL] == volume[plan.RUN_LABEL] == run_id
    assert labels[plan.STORE_LABEL] == volume[plan.STORE_LABEL] == lab.store.identity()
    assert {plan.LABEL, plan.NODE_LABEL, plan.OWNER_LABEL} <= set(labels)
    assert lab.store.files.exists(layout.claim(run_id))
