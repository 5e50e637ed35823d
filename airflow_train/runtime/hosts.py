"""What mpirun needs to start ranks on several nodes: who they are, and an agent that reaches them."""

from __future__ import annotations

import contextlib
import os

from airflow_train.runtime import protocol
from airflow_train.runtime.launched import LaunchedRanks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airflow_train.runtime.meeting import Meeting
    from airflow_train.runtime.ranks import NodeRanks

#: Asks Linux for the address of an interface (`man 7 netdevice`).
_SIOCGIFADDR = 0x8915


def prepare(launch: dict[str, Any], session: str, meeting: Meeting) -> dict[str, str]:
    """Write host file and agent into the session folder, and let the agent in; returns values of placeholders."""
    slots = [0] * launch["meeting"]["nodes"]
    for one in launch["meeting"]["world"]:
        slots[one["node"]] += 1
    addresses: list[str] = launch["addresses"]
    with open(os.path.join(session, protocol.HOST_FILE), "w", encoding="ascii") as file:
        file.writelines("%s slots=%d\n" % pair for pair in zip(addresses, slots))
    from airflow_train.runtime import agents  # only on node 0

    agent = os.path.join(session, agents.AGENT_FILE)
    with open(agent, "w", encoding="ascii") as code:
        code.write(agents.AGENT)
    os.mkfifo(os.path.join(session, "agents"), 0o600)
    meeting.serve(serve=session, hosts={address: node for node, address in enumerate(addresses)})
    return {protocol.AGENT_PLACEHOLDER: "/bin/sh %s" % agent}


def know(launch: dict[str, Any]) -> None:
    """Note the interface by which this node is connected to the others, for those who start ranks."""
    launch["interface"] = interface(launch["addresses"][launch["meeting"]["node"]])


def interface(address: str) -> str:
    """The network interface of this machine that has this address first; empty where none has or Linux isn't asked.

    Names are what every Open MPI understands: 4.1 takes /32 for all networks, 5.0.7 no network at all for its daemons.
    """
    import fcntl
    import socket
    import struct

    with socket.socket(type=socket.SOCK_DGRAM) as asker:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # an interface without an address
                answer = fcntl.ioctl(asker, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                if socket.inet_ntoa(answer[20:24]) == address:
                    return name
    return ""


def found(address: str) -> str:
    """The same address, empty where no interface of this machine has it first."""
    return address if interface(address) else ""


def cut_off(address: str, alone: str) -> str:
    """Why it is node 0 that the others can't reach, when it has lost one of them; empty when it isn't.

    :param address: that it had when it was connected; empty where that isn't known.
    :param alone: why it has lost all of them at once, as half a sentence; empty where it hasn't.
    """
    if address and not interface(address):
        return "node 0 was lost, as the network interface with its address %s is gone" % address
    return "node 0 was lost, as %s" % alone if alone else ""


def serve(ranks: NodeRanks, meeting: Meeting) -> None:
    """On another node: let node 0 start mpirun's daemon, whose ranks these are."""
    if isinstance(ranks, LaunchedRanks):
        meeting.serve(serve=ranks.environment([meeting.pid] if meeting.pid else []))
