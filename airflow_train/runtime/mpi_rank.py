"""The rank wrapper as mpirun starts it: finds its rank, tells the supervisor, and stays until that lets it go."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys

from airflow_train.runtime import exits, handed, mpi_environment, processes, protocol, rank, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(run_folder: str) -> int:
    """Run the rank that mpirun has made of this process; 2 when it made none."""
    told = json.loads(os.environ.get(protocol.MPI) or "{}")
    folder = protocol.node_folder(told.get("node", 0))
    launch = records.read(os.path.join(run_folder, folder, protocol.LAUNCH_FILE))
    number = os.environ.get("OMPI_COMM_WORLD_RANK")
    os.environ.update(mpi_environment.restored(os.environ))
    if told.get("interface"):
        os.environ.update(mpi_environment.ranks(told["interface"]))
    one = next((one for one in _world(launch) if str(one["rank"]) == number), None) if launch else None
    if launch is None or one is None or not told:
        print(
            "no rank %s is planned; mpirun has to start this, once for every rank" % number, file=sys.stderr
        )
        return 2
    control = socket.socket(socket.AF_UNIX)
    control.connect(told["socket"])
    control.sendall(b"%d\n" % one["rank"])
    try:
        handed.take(launch, control)
    except EOFError:  # the supervisor is dead
        return 1
    parent = os.getppid()
    if parent in told["heirs"]:  # mpirun is dead, and its child has been inherited
        return 1
    launch["addresses"], launch["interface"] = told["addresses"], told["interface"]
    problem = wrong_world(launch, one, told["node"])
    if problem:
        record = exits.empty(one, protocol.timestamp(), could_not_start=problem)
        records.create(exits.path(launch, one), record)
    else:
        _wrap(launch, one, control, told, parent)
    with contextlib.suppress(ConnectionError):  # the supervisor is dead
        control.sendall(b"E")
        while control.recv(64):  # until every rank has ended: mpirun would end the others when one leaves
            pass
    return 0


def _wrap(
    launch: dict[str, Any], one: dict[str, Any], control: socket.socket, told: dict[str, Any], parent: int
) -> None:
    processes.adopt_orphans()
    for name in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(name, signal.SIG_IGN)
    wrapper = rank.Wrapper(launch, one, control.fileno(), told["place"])
    signal.signal(signal.SIGTERM, wrapper.launcher_ends)
    processes.die_with_parent(parent, signal.SIGTERM)
    wrapper.start(told["ports"])
    wrapper.watch()
    wrapper.finish()


def wrong_world(launch: dict[str, Any], one: dict[str, Any], node: int) -> str | None:
    """What is wrong with the ranks that mpirun has started, their number or their places, if something is."""
    planned, found = len(_world(launch)), os.environ.get("OMPI_COMM_WORLD_SIZE")
    if found != str(planned):
        return "mpirun has made a world of %s ranks, but %d are planned" % (found, planned)
    here, started = len(launch["ranks"]), os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE")
    if launch.get("meeting") and started not in (None, str(here)):
        return "mpirun has started %s ranks on node %d, but %d are planned there" % (started, node, here)
    if launch.get("meeting") and one["node"] != node:
        return "mpirun has started rank %d on node %d instead of node %d" % (one["rank"], node, one["node"])
    return None


def _world(launch: dict[str, Any]) -> list[dict[str, Any]]:
    """All ranks that mpirun starts: those of this node have an environment."""
    others = (launch.get("meeting") or {}).get("world", ())
    own = {one["rank"]: one for one in launch["ranks"]}
    return [*own.values(), *(one for one in others if one["rank"] not in own)]
