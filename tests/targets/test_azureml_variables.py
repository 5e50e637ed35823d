"""What every rank is told about its nodes, as by Azure ML: the same everywhere, whatever kind of distribution it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.targets.lab import Lab

#: kind → its job, and the nodes of its ranks
KINDS: Mapping[str, tuple[dict[str, Any], list[int]]] = {
    "none": ({"process_count_per_node": 1}, [0, 1]),
    "paralleltask": ({"distribution": {"type": "paralleltask", "worker_count_per_node": 2}}, [0, 0, 1, 1]),
    "pytorch": ({"distribution": {"type": "pytorch"}}, [0, 0, 1, 1]),
    "tensorflow": (
        {
            "distribution": {"type": "tensorflow", "worker_count": 2, "parameter_server_count": 1},
            "process_count_per_node": 1,
        },
        [0, 1, 0],
    ),
}
INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
TELL = """
import json, socket
own = socket.gethostbyname(socket.gethostname())
told = {name: value for name, value in os.environ.items() if name.startswith(("AZ", "NCCL_", "GLOO_"))}
print(json.dumps([own, told]), flush=True)
mark("told")  # a parameter server is ended when the workers have ended
while open(os.environ["MARK"]).read().count("told") < RANKS: time.sleep(0.01)
"""


def told(lab: Lab, nodes: list[int], **job: Any) -> list[Any]:
    view = lab.run(f"RANKS = {len(nodes)}\n{TELL}", **{"node_count": 2, "process_count_per_node": 2, **job})
    assert view.status == "Completed", view.record.verdict
    assert [view.record.exits[rank]["node"] for rank in range(len(nodes))] == nodes
    return [json.loads(lab.lines(view.record.run_id, rank)[0]) for rank in range(len(nodes))]


def check(lab: Lab, nodes: list[int], found: list[Any]) -> None:
    """Who is on which node has the variables of that node."""
    hosts = found[0][1]["AZ_BATCH_HOST_LIST"].split(",")
    port = found[0][1]["AZ_BATCH_MASTER_NODE"].rpartition(":")[2]
    for node, (own, variables) in zip(nodes, found, strict=True):
        assert lab.target["type"] == "local" or own == hosts[node]
        assert variables["AZ_BATCH_HOST_LIST"].split(",") == hosts
        assert variables["AZ_BATCH_NODE_LIST"].split(";") == hosts
        assert variables["AZ_BATCH_MASTER_NODE"] == f"{hosts[0]}:{int(port)}"
        assert variables["AZ_BATCH_IS_CURRENT_NODE_MASTER"] == str(node == 0).lower()
        assert variables["AZUREML_NODE_COUNT"] == "2"
        assert variables["AZUREML_RUN_ID"] == lab.run_ids[-1]
    if lab.target["type"] == "local":
        assert set(hosts) == {"127.0.0.1"}
    else:
        assert len(set(hosts)) == 2
        assert {one[name] for _, one in found for name in INTERFACES} == {"eth0"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_rank_knows_its_nodes(lab: Lab, kind: str) -> None:
    job, nodes = KINDS[kind]

    check(lab, nodes, told(lab, nodes, **job))


@pytest.mark.mpi
def test_every_rank_of_mpi_knows_its_nodes(lab: Lab, job: dict[str, Any]) -> None:
    nodes = [0, 0, 1, 1]
    found = told(lab, nodes, **job)

    check(lab, nodes, found)
    assert {one["AZ_BATCHAI_MPI_MASTER_NODE"] for _, one in found} == {
        found[0][1]["AZ_BATCH_HOST_LIST"].split(",")[0]
    }


def test_a_run_on_one_node_is_told_of_no_others(lab: Lab) -> None:
    view = lab.run(TELL)
    [_, variables] = json.loads(lab.lines(view.record.run_id)[0])

    assert variables["AZUREML_NODE_COUNT"] == "1"
    assert [name for name in variables if name.startswith("AZ_BATCH")] == []
