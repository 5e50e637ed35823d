"""mpirun across containers, without ssh: any user, read-only root, no capabilities, Debian's Open MPI 4 and 5."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_train.runtime import protocol
from tests.runtime.crowd import IMAGES, Containers, docker

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]
MPI = {"distribution": {"type": "mpi"}, "process_count_per_node": 2}
MEET = (
    "import os, sys, time\nfrom mpi4py import MPI\nworld = MPI.COMM_WORLD\nworld.Barrier()\nprint('ready')\n"
)


@pytest.fixture(params=IMAGES.values(), ids=lambda image: "openmpi" + image[-1])
def crowd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Containers]]:
    if not docker("image", "ls", "-q", request.param):
        pytest.skip(f"no image {request.param}; bash .ci/images makes it")
    made: list[Containers] = []

    def make(nodes: int, code: str, **job: Any) -> Containers:
        made.append(Containers(tmp_path, nodes, code, request.param, **{**MPI, **job}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_ranks_of_all_containers_make_one_world_in_their_own_environments(
    crowd: Callable[..., Containers],
) -> None:
    code = """
    import os
    from mpi4py import MPI
    world = MPI.COMM_WORLD
    names = ["NODE_OWN", "OMPI_COMM_WORLD_LOCAL_RANK", "AZ_BATCH_IS_CURRENT_NODE_MASTER"]
    print(world.allreduce(world.rank), world.size, len(world.bcast(b"x" * 30_000_000)), os.getuid())
    print(*[os.environ[name] for name in names])
    """
    nodes = crowd(3, code)
    nodes.start()
    nodes.wait()

    assert [nodes.lines(rank) for rank in range(6)] == [
        ["15 6 30000000 12345", f"of node {node} {local} {'true' if node == 0 else 'false'}"]
        for node in range(3)
        for local in range(2)
    ], nodes.words()
    assert "WARNING: Open MPI" not in nodes.log(0)
    assert nodes.stop_record() == {}


def test_a_failing_rank_is_named_not_those_that_die_of_it(crowd: Callable[..., Containers]) -> None:
    nodes = crowd(2, MEET + "if world.rank == 3: sys.exit(3)\nworld.Barrier()")
    nodes.start()
    nodes.wait()

    assert (nodes.stop_record()["reason"], nodes.stop_record()["rank"]) == (protocol.STOP_RANK_FAILED, 3)
    assert nodes.exits()[3]["code"] == 3


def test_with_a_second_network_that_not_all_have_ranks_still_meet(crowd: Callable[..., Containers]) -> None:
    nodes = crowd(2, MEET)
    other = f"{nodes.name}-other"
    docker("network", "create", "--internal", other)
    try:
        nodes.create()
        docker("network", "connect", other, f"{nodes.name}-0")
        nodes.start_all()
        nodes.wait()
    finally:
        docker("network", "disconnect", "-f", other, f"{nodes.name}-0")
        docker("network", "rm", other)

    assert [nodes.exits()[rank]["code"] for rank in range(4)] == [0] * 4, nodes.words()


def test_an_image_without_open_mpi_is_one_sentence(crowd: Callable[..., Containers], tmp_path: Path) -> None:
    nodes = crowd(2, MEET)
    nodes._image = "airflow-train-test/base"
    nodes.start()
    nodes.wait(0)

    assert nodes.record(0, protocol.REPORT_FILE)["error"].startswith(
        "there is no mpirun; the image needs Open MPI"
    )
