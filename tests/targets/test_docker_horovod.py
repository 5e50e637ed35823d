"""Horovod with PyTorch through MPI, on two containers with two ranks each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.targets.lab import DOCKER, Lab

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]

RANKS: Mapping[str, Any] = {
    "distribution": {"type": "mpi"},
    "node_count": 2,
    "process_count_per_node": 2,
    "framework": "PyTorch",
}
BEGIN = "import torch, horovod.torch as hvd\nhvd.init()\ntorch.set_num_threads(1)\n"
AVERAGES = """
mine = torch.full((4_000_000,), float(hvd.rank()))
average, total = hvd.allreduce(mine, name="a"), hvd.allreduce(mine, name="b", op=hvd.Sum)
last = hvd.broadcast(mine, root_rank=3, name="c")
print(hvd.rank(), hvd.size(), hvd.local_rank(), hvd.local_size(), hvd.cross_size())
print(*[(one.min().item(), one.max().item()) for one in (average, total, last)])
print(hvd.allgather(torch.tensor([hvd.rank()]), name="d").tolist())
print(os.environ["OMPI_MCA_mpi_yield_when_idle"])
"""
FAILS = """
for step in range(100_000):
    if hvd.rank() == 2 and step == 20:
        raise ValueError("bad batch")
    hvd.allreduce(torch.ones(10), name="gradient")
"""


@pytest.fixture
def horovod(lab: Lab, shipped: Callable[[str], str]) -> Lab:
    """Runs in the image, as the user who owns the files of the test."""
    options = {"image": shipped("horovod"), "user": f"{os.getuid()}:0", "read_only": True}
    lab.target = {**DOCKER, "options": options}
    return lab


def test_all_ranks_average_what_each_of_them_has(horovod: Lab) -> None:
    view = horovod.run(BEGIN + AVERAGES, **RANKS)
    said = [horovod.lines(view.record.run_id, rank) for rank in range(4)]

    assert view.status == "Completed", view.record.verdict
    assert [lines[0] for lines in said] == ["0 4 0 2 2", "1 4 1 2 2", "2 4 0 2 2", "3 4 1 2 2"]
    assert [lines[1:] for lines in said] == [["(1.5, 1.5) (6.0, 6.0) (3.0, 3.0)", "[0, 1, 2, 3]", "1"]] * 4


@pytest.mark.parametrize("nodes", [1, 2])
def test_the_rank_that_raises_is_named_not_those_that_lose_it(horovod: Lab, nodes: int) -> None:
    ranks = {**RANKS, "node_count": nodes, "process_count_per_node": 4 // nodes}
    view = horovod.run(BEGIN + FAILS, **ranks)
    verdict = view.record.verdict or {}

    assert (verdict["reason"], verdict["rank"], verdict["node"]) == ("script", 2, nodes - 1)
    assert "ValueError: bad batch" in verdict["message"]
    assert horovod.nothing_left(view.record.run_id)
