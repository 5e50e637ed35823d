"""A supervisor's way to those of the other nodes, through a process of its own (`hub.py` on node 0, else `link.py`).

Nodes don't listen, but for node 0 until all have met: each dials it once, and what is to be started on a node is asked
of it down that connection. So a node can be reached by nobody, needs no certificate that servers have, and mpirun never
starts daemons by way of other nodes (no tree spawn, however many there are).

That process begins while the code is laid out, keeps the connections alive whatever the supervisor does, and dies with
it. Only messages pass between the two:

    to the hub     {"say": message, "to": [node, …] (empty: all)}, {"serve": session folder, "hosts": {address: node}}
    from the hub   {"came": node, "own"}, {"node": N, "said": message}, {"lost": node, "why",
                   "alone" (node 0 has lost all others)}, {"refused": why}
    to a link      {"say": message}, {"serve": environment of what node 0 starts}
    from a link    {"welcome": 0, "own"}, {"trouble": why}, {"said": message}, {"lost": 0, "why"}

What nodes say to node 0: `ready` (staged; with addresses and ports, or what failed), `started`, `exit`, `gone` (a rank
that won't start any more), `progress` (ranks that have written something), `doing` (an answer to `ask`), `news`,
`failed`, `stopped` (the container was told to end), `gave_up` (nothing has come from node 0 for too long), `pong`. Node
0 says `met`, `tell` (`rank.py`), `ping`, `ask` (what are your ranks doing?), `over`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time

from airflow_train.runtime import processes, protocol
from airflow_train.runtime.wire import Wire, ready

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Seconds that the process has to send what was said last.
LAST_WORDS = 3.0
#: The port of whatever nobody wants (RFC 863).
_DISCARD = 9


class Meeting:
    """This node's connections, as its supervisor has them."""

    def __init__(self, launch: dict[str, Any]) -> None:
        self.facts: dict[str, Any] = launch["meeting"]
        self.node: int = self.facts["node"]
        self.pid: int | None = None
        self._wire: Wire | None = None
        #: Why nothing can be said or heard any more; empty while it can.
        self.broken = ""

    def begin(self) -> None:
        """Start the process that is connected.

        :raises OSError: node 0 can't listen at its port.
        """
        listener = None if self.node else _listen(self.facts["port"], self.facts["nodes"])
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            _become(self.facts, listener, theirs, parent)
        theirs.close()
        if listener is not None:
            listener.close()
        self._wire = Wire(ours)

    def sources(self) -> list[int]:
        """What becomes readable when `hear` should be asked."""
        return [self._wire.descriptor] if self._wire is not None and not self.broken else []

    def hear(self) -> list[dict[str, Any]]:
        """Messages that have come."""
        if self._wire is None or self.broken:
            return []
        try:
            self._wire.flush()
            return self._wire.receive()
        except OSError:
            self.broken = "the process that is connected to the other nodes has ended"
            return [{"lost": node, "why": self.broken, "alone": True} for node in self._others()]

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        """The same, waiting for some."""
        if self._wire is not None and not self.broken:
            ready([self._wire], [], seconds)
        else:
            time.sleep(seconds)
        return self.hear()

    def _others(self) -> list[int]:
        return [0] if self.node else list(range(1, self.facts["nodes"]))

    def say(self, message: dict[str, Any], to: list[int] | None = None) -> None:
        """Say something to node 0, or on node 0 to these nodes, all by default."""
        self._send({"say": message, "to": to or []})

    def serve(self, **how: Any) -> None:
        """Let mpirun's agents in, on node 0; let node 0 start what they want, elsewhere."""
        self._send(how)

    def _send(self, message: dict[str, Any]) -> None:
        if self._wire is not None and not self.broken:
            with contextlib.suppress(OSError):  # `hear` finds that out
                self._wire.send(message)

    def close(self) -> None:
        """Let the process say what is left, and end."""
        if self._wire is not None:
            with contextlib.suppress(OSError):
                deadline = time.monotonic() + LAST_WORDS
                while self._wire.pending() and time.monotonic() < deadline:
                    ready([self._wire], [], 0.05)
                    self._wire.flush()
            self._wire.close()
            self._wire = None
        deadline = time.monotonic() + LAST_WORDS
        while self.pid is not None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            found, _ = os.waitpid(self.pid, 0 if time.monotonic() > deadline else os.WNOHANG)
            if found:
                self.pid = None
            else:
                time.sleep(0.005)


def _listen(port: int, nodes: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    listener.listen(nodes + 16)
    listener.settimeout(0)
    _announce()
    return listener


def _announce() -> None:
    """Say something in every network of this machine, no matter what and to whom.

    Who dialled while this node's interface was on its way up has asked the network for its hardware address in vain,
    and asks again only after a second. That question of ours, which all get, answers theirs (`arp_process` of Linux).
    """
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.settimeout(0)
        with open("/proc/net/route", encoding="ascii") as table:
            routes = [line.split() for line in table]
        for _, network, gateway, *_ in routes[1:]:
            if int(gateway, 16) == 0 != int(network, 16):
                start = int(network, 16).to_bytes(4, sys.byteorder)
                for last in (1, 2):  # one of them may be this machine
                    with contextlib.suppress(OSError):
                        sender.sendto(b"", (socket.inet_ntoa(start[:3] + bytes([start[3] | last])), _DISCARD))


def _become(
    facts: dict[str, Any], listener: socket.socket | None, control: socket.socket, parent: int
) -> None:
    """In the forked child: be connected; never returns."""
    code = 1
    try:
        os.setsid()
        processes.die_with_parent(parent)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if listener is not None:
            from airflow_train.runtime.hub import Hub

            Hub(facts, listener, control).run()
        from airflow_train.runtime.link import Link

        Link(facts, control).run()
    except SystemExit:
        code = 0
    except BaseException as error:  # noqa: BLE001 - said in the node's log; the process must not go on
        print(protocol.timestamp(), "the connection to the other nodes ended: %r" % error, flush=True)
    finally:
        sys.stdout.flush()
        os._exit(code)
