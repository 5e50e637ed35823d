"""Real frameworks whose processes are in several containers, and find each other by what the runtime tells them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.targets.lab import DOCKER, Lab

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]


@pytest.fixture
def framework_lab(lab: Lab, shipped: Callable[[str], str]) -> Callable[[str], Lab]:
    """The same in the image of a framework."""

    def made(name: str) -> Lab:
        lab.target = {**DOCKER, "options": {"image": shipped(name)}}
        lab.marks_folder.chmod(0o777)  # scripts are whoever their image says
        return lab

    return made


def said(lab: Lab, code: str, ranks: int, **job: Any) -> list[Any]:
    """The last line of each rank of a run that has completed, of which the engine has nothing left."""
    view = lab.run(code, **job)
    run_id = view.record.run_id
    assert view.status == "Completed", (
        view.record.verdict,
        [lab.lines(run_id, rank) for rank in range(ranks)],
    )
    assert lab.nothing_left(run_id)
    return [json.loads(lab.lines(run_id, rank)[-1]) for rank in range(ranks)]


PYTORCH: Mapping[str, Any] = {
    "distribution": {"type": "pytorch", "communication_backend": "Gloo"},
    "node_count": 2,
    "process_count_per_node": 2,
}


def test_pytorch_trains_with_gloo_on_all_nodes(framework_lab: Callable[[str], Lab]) -> None:
    """Each rank has data of its own; what all have learned is the same, and fits the data of all."""
    code = """
    import json
    import torch
    from torch import distributed, nn
    distributed.init_process_group("gloo", init_method="env://")
    rank = distributed.get_rank()
    total = torch.tensor([float(rank)])
    distributed.all_reduce(total)
    torch.manual_seed(rank)
    inputs = torch.randn(256, 2)
    wanted = inputs @ torch.tensor([[1.0], [-2.0]]) + 0.5
    model = nn.parallel.DistributedDataParallel(nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(inputs), wanted).backward()
        optimizer.step()
    learned = [round(float(value), 3) for one in model.parameters() for value in one.flatten()]
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "NODE_RANK", "GLOO_SOCKET_IFNAME")
    print(json.dumps([total.item(), learned, [os.environ[name] for name in names]]))
    distributed.destroy_process_group()
    """
    found = said(framework_lab("pytorch"), code, 4, **PYTORCH)

    assert [one[:2] for one in found] == [[6.0, [1.0, -2.0, 0.5]]] * 4
    assert [one[2] for one in found] == [
        [str(rank), "4", str(rank % 2), str(rank // 2), "eth0"] for rank in range(4)
    ]


def test_nodes_with_gpus_are_refused_by_an_engine_that_has_none(lab: Lab) -> None:
    distribution = {"type": "pytorch", "communication_backend": "Nccl"}
    view = lab.run("mark('ran')", **{**PYTORCH, "distribution": distribution, "gpu": 2})
    verdict = view.record.verdict or {}

    assert (view.status, verdict["reason"]) == ("Failed", "could_not_start")
    assert "with capabilities: [[gpu]]; leave gpu out, or use an engine that has GPUs" in verdict["message"]
    assert lab.nothing_left(view.record.run_id)
    assert "ran" not in lab.marks(view.record.run_id)
