"""The ranks of a run: where each is, and the variables by which they find each other. Pure."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol

#: Where all nodes are processes of one machine.
ADDRESS = "127.0.0.1"


def kind(spec: RunSpec) -> str:
    """Type of the distribution; empty without one."""
    return str((spec.job["distribution"] or {}).get("type", ""))


def watched(spec: RunSpec) -> bool:
    """Does MPI run in a Python that the author's own command starts?"""
    return kind(spec) == "mpi" and spec.job["command"] is not None


def of(
    spec: RunSpec, run_folder: str, node_folder: str, *, apart: bool
) -> tuple[list[dict[str, Any]], list[int]]:
    """Every rank with its own variables, and on which node each of the ports is that these name.

    :param node_folder: of the node that is launched.
    :param apart: the nodes have supervisors, and addresses, of their own.
    """
    mode = kind(spec)
    ranks = _tensorflow(spec, apart) if mode == "tensorflow" else _processes(spec, mode, apart)
    for one in ranks:
        one["environment"].update(_batch(spec, one["node"], apart))
        one["environment"][protocol.RANK] = str(one["rank"])
        if watched(spec):
            one["environment"][protocol.WATCHED] = "1"
        if spec.job.get("no_progress_timeout"):
            folder = os.path.join(node_folder, protocol.STACKS_FOLDER, str(one["rank"]))
            one["environment"][protocol.STACKS] = f"{protocol.STACKS_SIGNAL}:{folder}"
        metrics = os.path.join(run_folder, protocol.metrics_file(one["rank"]))
        one["environment"][protocol.METRICS] = metrics
    return ranks, _ports(spec, mode, ranks)


def _ports(spec: RunSpec, mode: str, ranks: list[dict[str, Any]]) -> list[int]:
    """On which node each port is that the ranks name; the first is node 0's, where all of them may meet."""
    if mode == "tensorflow":
        return [one["node"] for one in ranks]
    return [0] if mode in ("pytorch", "mpi") or spec.job["node_count"] > 1 else []


def interfaces() -> dict[str, str]:
    """What makes gloo, NCCL, PyTorch's RPC and Horovod meet where the nodes are connected, and nowhere else."""
    names = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME", "HOROVOD_GLOO_IFACE")
    return dict.fromkeys(names, protocol.INTERFACE_PLACEHOLDER)


def _address(node: int, apart: bool) -> str:
    """Address of a node; filled in where the nodes aren't all on one machine."""
    return protocol.ADDRESS_PLACEHOLDER % node if apart else ADDRESS


def _batch(spec: RunSpec, node: int, apart: bool) -> dict[str, str]:
    """What Azure Batch told every process of a run about its nodes."""
    count = spec.job["node_count"]
    if count == 1:
        return {}
    addresses = [_address(one, apart) for one in range(count)]
    return {
        "AZ_BATCH_MASTER_NODE": f"{addresses[0]}:{protocol.PORT_PLACEHOLDER % 0}",
        "AZ_BATCH_HOST_LIST": ",".join(addresses),
        "AZ_BATCH_NODE_LIST": ";".join(addresses),
        "AZ_BATCH_IS_CURRENT_NODE_MASTER": str(node == 0).lower(),
    }


@dataclass(frozen=True)
class _Place:
    """Where a rank is among all and on its node."""

    rank: int
    node: int
    local: int
    nodes: int
    per_node: int
    #: Of node 0.
    address: str
    #: The nodes have supervisors, and launchers, of their own.
    apart: bool


def _processes(spec: RunSpec, kind: str, apart: bool) -> list[dict[str, Any]]:
    nodes, per_node = spec.job["node_count"], spec.job["process_count_per_node"]
    ranks = []
    for rank in range(nodes * per_node):
        node, local = divmod(rank, per_node)
        place = _Place(rank, node, local, nodes, per_node, _address(0, apart), apart)
        environment = _VARIABLES.get(kind, _none)(place)
        ranks.append({"rank": rank, "node": place.node, "serves": False, "environment": environment})
    return ranks


def _none(place: _Place) -> dict[str, str]:
    return {}


def _pytorch(place: _Place) -> dict[str, str]:
    master = f"{place.address}:{protocol.PORT_PLACEHOLDER % 0}"
    return {
        "RANK": str(place.rank),
        "LOCAL_RANK": str(place.local),
        "WORLD_SIZE": str(place.nodes * place.per_node),
        "LOCAL_WORLD_SIZE": str(place.per_node),
        "NODE_RANK": str(place.node),
        "MASTER_ADDR": place.address,
        "MASTER_PORT": protocol.PORT_PLACEHOLDER % 0,
        "AZ_BATCHAI_PYTORCH_INIT_METHOD": f"tcp://{master}",
        "AZ_BATCHAI_TASK_INDEX": str(place.rank),
    }


def _mpi(place: _Place) -> dict[str, str]:
    """The AZ_ variables name the first node, as Azure ML did.

    Where all nodes are one machine, Open MPI sees one node and counts LOCAL_RANK, and NODE_RANK, which is the same to
    it, over all ranks.
    """
    first = {
        "AZ_BATCH_MASTER_NODE": f"{place.address}:{protocol.PORT_PLACEHOLDER % 0}",
        "AZ_BATCHAI_MPI_MASTER_NODE": place.address,
    }
    if place.apart:
        return first
    return {
        "OMPI_COMM_WORLD_LOCAL_RANK": str(place.local),
        "OMPI_COMM_WORLD_LOCAL_SIZE": str(place.per_node),
        "OMPI_COMM_WORLD_NODE_RANK": str(place.local),
        **first,
    }


_VARIABLES: Mapping[str, Callable[[_Place], dict[str, str]]] = {"pytorch": _pytorch, "mpi": _mpi}


def _tensorflow(spec: RunSpec, apart: bool) -> list[dict[str, Any]]:
    """Workers first, parameter servers after them; the latter serve until the workers are done."""
    distribution, nodes = spec.job["distribution"], spec.job["node_count"]
    tasks = [("worker", index) for index in range(distribution["worker_count"])]
    tasks += [("ps", index) for index in range(distribution["parameter_server_count"])]
    cluster: dict[str, list[str]] = {"worker": [], "ps": []}
    for number, (kind, _) in enumerate(tasks):
        place = _address(_node_of(number, nodes), apart)
        cluster[kind].append(f"{place}:{protocol.PORT_PLACEHOLDER % number}")
    ranks = []
    for rank, (kind, index) in enumerate(tasks):
        there = {name: hosts for name, hosts in cluster.items() if hosts}
        config = {"cluster": there, "task": {"type": kind, "index": index}, "environment": "cloud"}
        variables = {
            "TF_CONFIG": json.dumps(config),
            "AZ_BATCHAI_PS_HOSTS": ",".join(cluster["ps"]),
            "AZ_BATCHAI_WORKER_HOSTS": ",".join(cluster["worker"]),
            "AZ_BATCHAI_TASK_INDEX": str(index),
        }
        node = _node_of(rank, nodes)
        ranks.append({"rank": rank, "node": node, "serves": kind == "ps", "environment": variables})
    return ranks


def _node_of(task: int, nodes: int) -> int:
    """Tasks of TensorFlow go round the nodes."""
    return task % nodes
