"""Watching a run on every target: by whoever comes, from where the last one stopped, believing nothing unseen."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from airflow_train import targets
from airflow_train.lifecycle import observe
from airflow_train.lifecycle.follow import Follower
from airflow_train.lifecycle.steps import Step, next_step
from airflow_train.targets.base import Observation
from tests.targets.lab import Lab, until

WATCH = """
import sys
from airflow_train.lifecycle import wait
from airflow_train.store.run_store import open_store
print("begins", flush=True)
wait.wait(open_store(sys.argv[1]), sys.argv[2], poll_interval=0.05)
"""
GOES = "mark('ready')\nwhile not os.path.exists(os.environ['MARK'] + '.go'): time.sleep(0.02)\n"


def go(lab: Lab, run_id: str) -> None:
    """Let the script end."""
    lab.mark_file(run_id).with_suffix(".marks.go").touch()


def test_a_watcher_that_is_killed_is_followed_by_another_who_finds_the_run(lab: Lab) -> None:
    run_id = lab.start(GOES + "open('outputs/kept', 'w').write('yes')")
    lab.marked(run_id, "ready")
    command = [sys.executable, "-c", WATCH, lab.store.uri, run_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()
        watcher.send_signal(signal.SIGKILL)
    go(lab, run_id)

    assert lab.wait(run_id).status == "Completed"
    assert lab.marks(run_id) == ["start 0", "ready"]
    assert lab.output(run_id, "outputs/kept") == "yes"
    assert lab.nothing_left(run_id)


def test_lines_are_read_on_from_where_the_last_look_ended(lab: Lab) -> None:
    run_id = lab.start(f"for n in range(100): print(n, flush=True)\n{GOES}for n in range(100, 200): print(n)")
    lab.marked(run_id, "ready")
    follower, seen = Follower(lab.store, run_id), []

    def half() -> bool:
        lab.look(run_id)
        seen.extend(line.text for line in follower.poll())
        return len(seen) == 100

    until(half)
    go(lab, run_id)
    lab.wait(run_id)
    seen += [line.text for line in follower.drain()]

    assert seen == [str(n) for n in range(200)]


def test_what_nobody_can_see_is_unknown_and_never_the_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = lab.start(GOES)
    lab.marked(run_id, "ready")
    until(lambda: lab.look(run_id).status == "Running")
    record = lab.store.record(run_id)
    unseen = Observation(supervisor=None, ranks=None)
    with monkeypatch.context() as blind:
        blind.setattr(type(targets.get(record.spec.target)), "observe", lambda *_: unseen)
        looks = {observe.look(lab.store, run_id).status for _ in range(3)}
    go(lab, run_id)

    assert looks == {"Running"}
    assert next_step(record, unseen, age=1.0, watched=1.0) is Step.WAIT
    assert lab.wait(run_id).status == "Completed"
