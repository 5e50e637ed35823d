"""Several nodes on docker: containers that meet in a network of the run's own, with MPI or without."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_train import targets
from airflow_train.lifecycle import cancel
from airflow_train.lifecycle.warned import warnings
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.targets.docker import nodes, plan
from airflow_train.targets.docker.engine import Engine
from tests.runtime.crowd import IMAGES
from tests.targets import losses, strikes
from tests.targets.lab import DOCKER, Lab, docker, docker_objects, until
from tests.targets.worlds import MEET

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]

PLAIN: Mapping[str, Any] = {
    "distribution": {"type": "pytorch"},
    "node_count": 2,
    "process_count_per_node": 2,
}
READY = "mark('ready ' + os.environ['AIRFLOW_TRAIN_RANK'])\n"


@pytest.fixture(params=IMAGES.values(), ids=lambda image: "openmpi" + image[-1])
def mpi_lab(request: pytest.FixtureRequest, lab: Lab) -> Lab:
    """The same with Debian's Open MPI."""
    if not docker("image", "ls", "-q", request.param):
        pytest.skip(f"no image {request.param}; bash .ci/images makes it")
    lab.target = {**DOCKER, "options": {"image": request.param}}
    return lab


MPI: Mapping[str, Any] = {**PLAIN, "distribution": {"type": "mpi"}}


def ended(lab: Lab, run_id: str) -> Mapping[str, Any]:
    """The verdict on a run of which the engine has nothing left."""
    view = lab.wait(run_id)
    assert lab.nothing_left(run_id)
    return view.record.verdict or {}


def ready(lab: Lab, run_id: str, ranks: int = 4) -> None:
    def all_ready() -> bool:
        lab.look(run_id)
        return {f"ready {rank}" for rank in range(ranks)} <= set(lab.marks(run_id))

    until(all_ready, 60)


def test_ranks_of_all_nodes_make_one_world_of_mpi(mpi_lab: Lab) -> None:
    view = mpi_lab.run(
        """
        from mpi4py import MPI
        world = MPI.COMM_WORLD
        local = os.environ["OMPI_COMM_WORLD_LOCAL_RANK"]
        print(world.allreduce(world.rank), world.rank, world.size, local, os.environ["AZUREML_NODE_COUNT"])
        """,
        **MPI,
    )

    assert view.status == "Completed", view.record.verdict
    said = [mpi_lab.lines(view.record.run_id, rank) for rank in range(4)]
    assert said == [["6 0 4 0 2"], ["6 1 4 1 2"], ["6 2 4 0 2"], ["6 3 4 1 2"]]
    assert {rank: one["node"] for rank, one in view.record.exits.items()} == {0: 0, 1: 0, 2: 1, 3: 1}
    assert mpi_lab.nothing_left(view.record.run_id)


def test_any_user_on_a_read_only_root_has_a_world_and_its_phases_are_told(mpi_lab: Lab) -> None:
    options = {**mpi_lab.target["options"], "user": "12345:12345", "read_only": True}
    mpi_lab.target = {**mpi_lab.target, "options": options}
    run_id = f"uid-nodes-{os.getpid()}"
    mpi_lab.marks_folder.chmod(0o777)
    mpi_lab.mark_file(run_id).touch()
    mpi_lab.mark_file(run_id).chmod(0o666)
    code = "from mpi4py import MPI\nprint(os.getuid(), MPI.COMM_WORLD.allreduce(1))"
    view = mpi_lab.run(code, run_id=run_id, **MPI)

    assert view.status == "Completed", view.record.verdict
    assert [mpi_lab.lines(view.record.run_id, rank) for rank in range(4)] == [["12345 4"]] * 4
    assert [one.name for one in view.record.phases] == ["start", "stage", "meet", "run", "collect"]


@pytest.mark.parametrize("how", losses.KINDS)
def test_a_lost_container_ends_the_run_in_time_and_is_named(mpi_lab: Lab, how: str) -> None:
    """`make bench` tries it twenty times."""
    run_id = mpi_lab.start(losses.TALK, **MPI)
    ready(mpi_lab, run_id)
    took, verdict = losses.lose(mpi_lab, run_id, 1, how)

    assert took < losses.NOTICED
    assert (verdict["reason"], verdict["node"]) == ("infrastructure", 1), verdict
    assert "node 1 was lost" in verdict["message"]
    assert mpi_lab.nothing_left(run_id)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("kill", "node 0's container ended with exit code 137"),
        ("pause", "node 0 was lost, as nothing has come from it for 5 s, and its container is paused"),
        ("network", "node 0 was lost, as the network interface with its address"),
    ],
)
def test_the_lost_first_node_is_named_and_the_others_end(lab: Lab, how: str, words: str) -> None:
    run_id = lab.start(f"{READY}time.sleep(60)", **PLAIN)
    ready(lab, run_id)
    took, verdict = losses.lose(lab, run_id, 0, how)

    assert took < losses.NOTICED
    assert (verdict["reason"], verdict["node"]) == ("infrastructure", 0), verdict
    assert words in verdict["message"]
    assert lab.nothing_left(run_id)


@pytest.mark.parametrize("node", [0, 1])
def test_a_node_that_is_told_to_end_is_named(lab: Lab, node: int) -> None:
    run_id = lab.start(f"{READY}time.sleep(60)", **PLAIN)
    ready(lab, run_id)
    docker("kill", "--signal", "TERM", plan.container_name(run_id, node))
    verdict = ended(lab, run_id)

    assert (verdict["reason"], verdict["node"]) == ("infrastructure", node)
    assert f"node {node} ends: its container was told to stop from outside" in verdict["message"]


@pytest.mark.cgroups
@pytest.mark.usefixtures("cgroups")
@pytest.mark.parametrize("lost", [False, True], ids=["rank", "its process"])
def test_a_rank_of_another_node_that_runs_out_of_memory_is_named(mpi_lab: Lab, lost: bool) -> None:
    eat = "bytearray(b'x') * (1 << 30)"
    fault = f'subprocess.run([sys.executable, "-c", "{eat}"]); sys.exit(3)' if lost else eat
    code = f"{MEET}if world.rank == 3: {fault}\nworld.Barrier()"
    verdict = ended(mpi_lab, mpi_lab.start(code, **MPI, memory="256Mi", memory_bytes=256 << 20))

    assert (verdict["reason"], verdict["rank"], verdict["node"]) == ("out_of_memory", 3, 1), verdict
    said = (
        "exited with code 3, after a process of its node was killed"
        if lost
        else "ran out of memory: it was killed"
    )
    assert f"Rank 3 of 4 (node 1) {said} at its node's limit of 256 MiB (memory)." in verdict["message"]


#: In place of the image's own: all ranks on one node, or fewer of them.
STAND_IN = """#!/bin/sh
[ "$1" = --version ] && exec /usr/bin/mpirun --version
for part in "$@"; do
    shift
    %s
    set -- "$@" "$part"
    before=$part
done
exec /usr/bin/mpirun "$@"
"""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            'case "$part" in --hostfile|*/hosts) continue;; esac',
            "has started 4 ranks on node 0, but 2 are planned there",
        ),
        ('[ "$before" = -n ] && part=2', "has made a world of 2 ranks, but 4 are planned"),
    ],
)
def test_an_mpirun_that_does_other_than_planned_is_refused(
    mpi_lab: Lab, tmp_path: Path, change: str, words: str
) -> None:
    (tmp_path / "mpirun").write_text(STAND_IN % change)
    (tmp_path / "mpirun").chmod(0o755)
    arguments = ["-v", f"{tmp_path}/mpirun:/usr/local/bin/mpirun:ro"]
    run_id = mpi_lab.start("mark('ran')", **MPI, environment={"docker_arguments": arguments})
    verdict = ended(mpi_lab, run_id)

    assert verdict["reason"] == "could_not_start", verdict
    assert words in verdict["message"]
    assert mpi_lab.marks(run_id) == []


def test_mpi_in_one_container_needs_no_network(mpi_lab: Lab) -> None:
    code = "from mpi4py import MPI\nprint(MPI.COMM_WORLD.allreduce(1))"
    run_id = mpi_lab.start(code, **{**MPI, "node_count": 1})

    assert not any(one.startswith("network") for one in docker_objects(run_id))
    assert mpi_lab.wait(run_id).status == "Completed"
    assert [mpi_lab.lines(run_id, rank) for rank in range(2)] == [["2"], ["2"]]


def test_ranks_of_torch_distributed_find_the_first_node(lab: Lab) -> None:
    code = """
    import socket
    rank, place = int(os.environ["RANK"]), (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    if rank == 0:
        with socket.create_server(place) as server:
            print(sorted(server.accept()[0].makefile().read() for _ in range(3)))
    else:
        while True:
            try:
                with socket.create_connection(place) as connection:
                    connection.sendall(f"{rank} of {os.environ['WORLD_SIZE']} on {os.environ['NODE_RANK']}".encode())
                break
            except OSError:
                time.sleep(0.05)
    """
    run_id = lab.start(code, **PLAIN)

    assert ended(lab, run_id)["status"] == "Completed", lab.store.record(run_id).verdict
    assert lab.lines(run_id, 0) == ["['1 of 4 on 0', '2 of 4 on 1', '3 of 4 on 1']"]


def test_outputs_of_all_nodes_come_home_and_conflicts_are_named(lab: Lab) -> None:
    code = """
    os.makedirs("outputs", exist_ok=True)
    node = os.environ["NODE_RANK"]
    for name, content in ((f"of_{node}", node), ("same", "x"), ("other", node), ("large", node * 3_000_000)):
        with open("outputs/" + name, "w") as file:
            file.write(content)
    """
    run_id = lab.start(code, **{**PLAIN, "process_count_per_node": 1})
    assert ended(lab, run_id)["status"] == "Completed"
    found = {
        name: lab.output(run_id, f"outputs/{name}")[:1] for name in ("of_0", "of_1", "same", "other", "large")
    }
    beside = {name: lab.output(run_id, f"outputs/{name}.conflict-1")[:1] for name in ("other", "large")}
    report = lab.store.record(run_id).report or {}

    assert found == {"of_0": "0", "of_1": "1", "same": "x", "other": "0", "large": "0"}
    assert beside == {"other": "1", "large": "1"}
    assert sorted(report["conflicts"]) == ["outputs/large.conflict-1", "outputs/other.conflict-1"]
    assert {one["message"] for one in warnings(lab.store, lab.store.record(run_id))} == {
        f"outputs/{name}.conflict-1 is node 1's, kept beside what another node calls so."
        for name in ("large", "other")
    }
    assert report["outputs"] == 8


def test_lines_of_all_nodes_come_while_they_run(lab: Lab) -> None:
    run_id = lab.start("print('here ' + os.environ['RANK'], flush=True)\ntime.sleep(60)", **PLAIN)
    until(
        lambda: [lab.lines(run_id, rank) for rank in range(4)] == [[f"here {rank}"] for rank in range(4)], 30
    )
    cancel.cancel(lab.store, run_id, by="ann")

    assert ended(lab, run_id)["status"] == "Canceled"


def test_what_scripts_did_with_term_comes_home_from_all_nodes(lab: Lab) -> None:
    code = f"""
    def checkpoint(*_):
        os.makedirs("outputs", exist_ok=True)
        open("outputs/saved_" + os.environ["RANK"], "w").close()
        sys.exit(0)
    signal.signal(signal.SIGTERM, checkpoint)
    {READY.strip()}
    while True:
        time.sleep(0.1)
    """
    run_id = lab.start(code, **PLAIN)
    ready(lab, run_id)
    cancel.cancel(lab.store, run_id, by="ann")

    assert ended(lab, run_id)["status"] == "Canceled"
    assert all(lab.path(run_id, "files", "outputs", f"saved_{rank}").exists() for rank in range(4))


def test_the_reports_of_nodes_are_not_the_runs_until_all_has_come(lab: Lab) -> None:
    """Whoever collects dies before the last step: the next one finishes, and doubles nothing."""
    code = "os.makedirs('outputs', exist_ok=True)\nopen('outputs/name', 'w').write(os.environ['NODE_RANK'])"
    run_id = lab.start(code, **{**PLAIN, "process_count_per_node": 1})
    docker("wait", plan.container_name(run_id), plan.container_name(run_id, 1))
    target, record = targets.get(lab.target), lab.store.record(run_id)
    target.collect(record, lab.store)
    (lab.path(run_id) / "node_0" / protocol.REPORT_FILE).unlink()
    assert ended(lab, run_id)["status"] == "Completed"

    names = sorted(one.name for one in lab.path(run_id, "files", "outputs").iterdir())
    assert names == ["name", "name.conflict-1"]
    assert json.loads(lab.store.files.read(layout.report(run_id)))["conflicts"] == ["outputs/name.conflict-1"]


def test_a_node_that_ends_before_it_came_ends_the_run_long_before_the_limit(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_one(engine: Engine, spec: Any, claim: Mapping[str, Any]) -> None:
        del claim
        first, other = nodes.containers(spec.run_id, 2)
        engine.start(other)
        docker("kill", other)
        engine.start(first)

    code = "mark('ran')"
    monkeypatch.setattr(nodes, "start", without_one)
    monkeypatch.setattr(nodes, "_TO_TELL", 1.0)
    run_id = lab.start(code, **PLAIN)
    verdict = ended(lab, run_id)

    assert (verdict["reason"], verdict["node"]) == ("infrastructure", 1)
    assert "node 1 was lost before the ranks were started, as its container ended" in verdict["message"]
    assert "ran" not in lab.marks(run_id)


@pytest.mark.parametrize("call", ["last_words", "remove", "remove_volume", "remove_networks"])
def test_a_judge_that_is_killed_leaves_a_run_of_several_nodes_that_the_next_one_judges(
    lab: Lab, call: str
) -> None:
    code = "open('outputs/name', 'w').write(os.environ['NODE_RANK'])"
    run_id = lab.start(code, **{**PLAIN, "process_count_per_node": 1})
    docker("wait", plan.container_name(run_id), plan.container_name(run_id, 1))

    assert strikes.worker("look", lab.store.uri, run_id, call, "after") == -signal.SIGKILL
    assert ended(lab, run_id)["status"] == "Completed"
    names = sorted(one.name for one in lab.path(run_id, "files", "outputs").iterdir())
    assert names == ["name", "name.conflict-1"]
    assert (lab.store.record(run_id).report or {})["conflicts"] == ["outputs/name.conflict-1"]
