"""The engine of several nodes dies, alone or with its machine: no rank runs twice, what was written is kept, nothing is
left. `test_docker_engine_deaths.py` has all moments for one node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from airflow_train.exceptions import InfrastructureFailure
from airflow_train.lifecycle import observe
from airflow_train.targets.docker import plan
from airflow_train.targets.docker.errors import why_not_started
from airflow_train.targets.docker.stream import Stream
from tests.targets import test_docker_engine_deaths as deaths
from tests.targets.lab import Lab, until
from tests.targets.private_engine import PrivateEngine

pytestmark = deaths.pytestmark
fate, impatience = deaths.fate, deaths.impatience

TWO: Mapping[str, Any] = {"distribution": {"type": "pytorch"}, "node_count": 2}
WORKS = """
rank = os.environ["RANK"]
open("outputs/half" + rank, "w").write("kept")
print("said", flush=True)
mark("ready " + rank)
while not os.path.exists(os.environ["MARK"] + ".go"): time.sleep(0.02)
mark("end " + rank)
"""


def ended(lab: Lab, run_id: str, fate: deaths.Fate) -> str:
    """The status in the end, which holds whatever happened."""
    record = lab.wait(run_id, 100).record
    verdict, marks = record.verdict or {}, lab.marks(run_id)
    assert [marks.count(f"start {rank}") <= 1 for rank in range(2)] == [True] * 2, f"it ran twice: {verdict}"
    assert (verdict["status"] == "Completed") == ({"end 0", "end 1"} <= set(marks)), verdict
    assert verdict["status"] == "Completed" or verdict["reason"] == "infrastructure", verdict
    fate.over()
    lab.look(run_id)
    for rank in [rank for rank in range(2) if f"ready {rank}" in marks]:
        assert lab.output(run_id, f"outputs/half{rank}") == "kept"
        assert lab.lines(run_id, rank) == ["said"]
    assert lab.nothing_left(run_id)
    assert lab.store.settled(record.spec)
    return str(verdict["status"])


@pytest.mark.parametrize(("call", "machine"), [("create_network", False), ("put", True)])
def test_the_engine_dies_while_nodes_are_made(lab: Lab, fate: deaths.Fate, call: str, machine: bool) -> None:
    fate.at(call, "after", machine=machine)
    run_id = deaths.submitted(lab, WORKS, **TWO)
    deaths.go(lab, run_id)

    assert ended(lab, run_id, fate) == "Completed"


def test_the_machine_dies_while_nodes_work(lab: Lab, fate: deaths.Fate) -> None:
    run_id = lab.start(WORKS, **TWO)
    for rank in range(2):
        lab.marked(run_id, f"ready {rank}")
    watcher = observe.Watcher(lab.store, run_id)
    until(lambda: watcher.look().status == "Running")
    fate.power_cut()

    assert ended(lab, run_id, fate) == "Failed"


def test_nodes_outlive_an_engine_that_restores_what_lives(
    lab: Lab, fate: deaths.Fate, own_engine: PrivateEngine
) -> None:
    own_engine.live_restore = True
    own_engine.restart()
    run_id = lab.start(WORKS, **TWO)
    for rank in range(2):
        lab.marked(run_id, f"ready {rank}")
    own_engine.restart()
    deaths.go(lab, run_id)

    assert ended(lab, run_id, fate) == "Completed"


def test_the_engine_dies_in_the_middle_of_the_outputs_of_a_node(lab: Lab, fate: deaths.Fate) -> None:
    run_id = lab.start(f"{WORKS}open('outputs/large' + rank, 'wb').write(os.urandom(8 << 20))", **TWO)
    deaths.go(lab, run_id)
    names = [plan.container_name(run_id, node) for node in range(2)]
    fate.engine.docker("wait", *names)
    fate.at("content", "after", owner=Stream)

    assert ended(lab, run_id, fate) == "Completed"
    assert lab.path(run_id, "files", "outputs", "large1").stat().st_size == 8 << 20


def test_what_a_killed_engine_left_of_a_start_is_bad_luck() -> None:
    refused = "the Docker engine refused (starting the container x): %s."
    left = InfrastructureFailure(refused % "failed to start shim: mkdir /run/containerd/x: file exists")
    wrong = InfrastructureFailure(refused % "OCI runtime create failed: no such device")

    assert why_not_started(left) == "infrastructure"
    assert why_not_started(wrong) == "could_not_start"
