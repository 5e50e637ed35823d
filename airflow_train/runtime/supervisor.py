"""How the supervisor of a node begins: as a process, as the first one of a container, or after another's death."""

from __future__ import annotations

import fcntl
import os
import signal

from airflow_train.runtime import handed, node, parcel, parts, processes, protocol, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(launch_path: str, source: int = 0) -> int:
    """Run the node that `launch_path` describes, unless somebody has claimed it; returns the exit code.

    :param source: descriptor that gives the run's secrets.
    """
    launch = records.read(launch_path)
    if launch is None:
        return 2
    if not handed.receive(launch, source):
        print(
            protocol.timestamp(),
            "not started: whoever submits was killed while handing over secrets",
            flush=True,
        )
        return 3
    folder = os.path.dirname(launch_path)
    if not records.create(_claim(launch, folder), {**protocol.identity(), "at": protocol.timestamp()}):
        return 0
    for name in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(name, signal.SIG_IGN)
    processes.adopt_orphans()
    _node(launch, folder).run()
    return 0


def _claim(launch: dict[str, Any], folder: str) -> str:
    """Where whoever starts the ranks says so; in a container beside what it is about to do."""
    return os.path.join(launch.get("inside") or folder, protocol.CLAIM_FILE)


def in_container(launch_path: str) -> int:
    """`main` as the first process of a container; started a second time, it collects what the first one left.

    What the supervisor says goes to the node's log; the container's output is a parcel at the end.
    """
    launch = records.read(launch_path)
    if launch is None:
        return 2
    log = os.path.join(launch["run_folder"], protocol.node_log(parts.number(launch)))
    os.makedirs(os.path.dirname(log), exist_ok=True)
    words = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    output = os.dup(1)
    os.dup2(words, 1)
    os.dup2(words, 2)
    source = handed.from_file(launch)
    claimed = os.path.exists(_claim(launch, os.path.dirname(launch_path)))
    code = (collect_again if claimed else main)(launch_path, source)
    if code == 0 and launch.get("outbox"):
        with records.tolerated("parcel"):
            parcel.send(launch["run_folder"], output)
    return code


def collect_again(launch_path: str, source: int = 0) -> int:
    """Finish what a killed supervisor left: collect logs and outputs, report. Harmless when it has been done."""
    launch = records.read(launch_path)
    if launch is None:
        return 2
    handed.receive(launch, source)  # who doesn't have them collects too, but for logs
    found = _node(launch, os.path.dirname(launch_path))
    with open(launch_path, "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two who look at once collect one after the other
        if records.read(found.path(protocol.REPORT_FILE)) is None:
            found.collect(by=protocol.SUCCESSOR)
    return 0


def _node(launch: dict[str, Any], folder: str) -> node.Node:
    if not launch.get("meeting"):
        return node.Node(launch, folder)
    from airflow_train.runtime import nodes  # most runs have one

    return nodes.of(launch, folder)
