"""Node 0's end of the connections to all other nodes, a process of its own beside the supervisor.

Nodes dial in by mutual TLS and stay connected. The supervisor is told who has come and who is lost, and its messages
and theirs are passed on. mpirun's agents (`agents.py`) come through a pipe in the session folder; what they want
started on a node is asked of that node through its connection. Nothing else listens anywhere, and when all have met,
nobody can come any more.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import time

from airflow_train.runtime import protocol, tls
from airflow_train.runtime.agents import Agents
from airflow_train.runtime.wire import BEAT, SILENCE, Wire, ready

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Seconds that a stranger has to prove who it is, and how many may try at a time beside the nodes.
PATIENCE = 5.0
STRANGERS = 32
#: How many are let in between two looks at what else there is to do.
AT_ONCE = 64
#: What is known when it is this node that can't be reached.
ALONE = "all other nodes fell silent for it at once"
#: How many refusals are told of in the node's log.
TOLD = 20
#: What a node that breaks off, or says what nobody understands, leads to.
_BROKEN = (OSError, KeyError, TypeError, ValueError)


class _Node:
    """A node that is connected."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.heard = time.monotonic()
        #: Has it said anything? Until then it may have given up waiting, and dial again.
        self.came = False


class Hub:
    """Everything that is connected to node 0."""

    def __init__(self, meeting: dict[str, Any], listener: socket.socket, control: socket.socket) -> None:
        self._count: int = meeting["nodes"]
        self._supervisor = Wire(control)
        #: None when all have met.
        self._listener: socket.socket | None = listener
        self._context = tls.contexts(meeting["certificates"], server=True)[0]
        self._pending: dict[int, tuple[ssl.SSLSocket, str, float]] = {}
        self._nodes: dict[int, _Node] = {}
        self._refused = 0
        self._agents = Agents(self._to_node)
        self._next_beat = self._looked = time.monotonic()

    def run(self) -> None:
        """Until the supervisor closes its end."""
        while True:
            wires = [self._supervisor, *(one.wire for one in self._nodes.values())]
            listener = [] if self._listener is None else [self._listener.fileno()]
            sources = [*listener, *self._pending, *self._agents.sources()]
            found = ready(wires, sources, self._next_beat - time.monotonic())
            if self._supervisor.descriptor in found:
                self._from_supervisor()
            self._from_nodes(found)
            self._shake_hands(found)
            if self._listener is not None and self._listener.fileno() in found:
                self._accept(self._listener)
            self._agents.attend(found)
            self._beat()

    # ------------------------------------------------------------------ strangers

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for _ in range(AT_ONCE):
                connection, address = listener.accept()
                connection.settimeout(0)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if len(self._pending) >= self._count + STRANGERS:
                    oldest = min(self._pending, key=lambda one: self._pending[one][2])
                    self._pending.pop(oldest)[0].close()
                stranger = tls.wrapped(self._context, connection, server=True)
                self._pending[stranger.fileno()] = (stranger, address[0], time.monotonic() + PATIENCE)

    def _shake_hands(self, found: set[int]) -> None:
        for descriptor, (connection, address, deadline) in list(self._pending.items()):
            try:
                if descriptor in found and tls.shaken(connection):
                    del self._pending[descriptor]
                    self._admit(connection)
                elif time.monotonic() > deadline:
                    raise ConnectionError("it did not prove within %g s who it is" % PATIENCE)
            except OSError as error:
                self._pending.pop(descriptor, None)
                connection.close()
                self._refuse(address, tls.why(error))

    def _admit(self, connection: ssl.SSLSocket) -> None:
        node = tls.node_of(connection, self._count)
        if not node:
            raise ConnectionError("its certificate is no other node's")
        if node in self._nodes:
            self._nodes.pop(node).wire.close()  # it has dialled again, so it has given that one up
        self._nodes[node] = _Node(Wire(connection))
        self._to_node(node, {"welcome": connection.getsockname()[0]})

    def _close_the_door(self) -> None:
        """Nobody is missing any more."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection, _, _ in self._pending.values():
            connection.close()
        self._pending.clear()

    def _refuse(self, address: str, why: str) -> None:
        self._refused += 1
        if self._refused <= TOLD:
            words = "a connection from %s was refused: %s" % (address, why)
            print(protocol.timestamp(), words, flush=True)
            self._supervisor.send({"refused": words})

    # ------------------------------------------------------------------ nodes

    def _to_node(self, node: int, message: dict[str, Any]) -> bool:
        """Send a message; False when there is no such node (any more)."""
        if node not in self._nodes:
            return False
        try:
            self._nodes[node].wire.send(message)
        except OSError as error:
            with contextlib.suppress(*_BROKEN):  # a node that has given this one up says so at last
                self._hear(node)
            self._lose(node, "the connection to it broke (%s)" % error)
        return node in self._nodes

    def _hear(self, node: int) -> None:
        one = self._nodes[node]
        for message in one.wire.receive():
            one.heard = time.monotonic()
            self._has_come(node, one)
            self._from_node(node, message)

    def _from_nodes(self, found: set[int]) -> None:
        for node, one in list(self._nodes.items()):
            if one.wire.descriptor in found:
                try:
                    one.wire.flush()
                    self._hear(node)
                except _BROKEN as error:
                    self._lose(node, "the connection to it broke (%s)" % _words(error))

    def _has_come(self, number: int, one: _Node) -> None:
        if not one.came:
            one.came = True
            own = one.wire.socket.getsockname()[0]
            self._supervisor.send({"came": number, "own": own})

    def _from_node(self, node: int, message: dict[str, Any]) -> None:
        if "output" in message or "ended" in message:
            self._agents.from_node(message)
        elif "beat" not in message:
            self._supervisor.send({"node": node, "said": message})

    def _beat(self) -> None:
        """Give signs of life, and miss those of others; not while this process itself was stopped."""
        now = time.monotonic()
        if now < self._next_beat:
            return
        stood_still = now - self._looked > 2 * BEAT
        self._looked, self._next_beat = now, now + BEAT
        for one in self._nodes.values():
            one.heard = now if stood_still else one.heard
        silence = [now - one.heard for one in self._nodes.values()]
        alone = len(silence) > 1 and min(silence) > SILENCE - 2 * BEAT
        for node, one in list(self._nodes.items()):
            if now - one.heard > SILENCE:
                silent = "nothing has come from it for %g s" % SILENCE
                self._lose(node, ALONE if alone else silent, alone)
            else:
                self._to_node(node, {"beat": 1})

    def _lose(self, node: int, why: str, alone: bool = False) -> None:
        """:param alone: it is this node which can't be reached."""
        lost = self._nodes.pop(node, None)
        if lost is not None:
            lost.wire.close()
            if lost.came:
                said = {"lost": node, "why": why, "alone": alone}
                self._supervisor.send(said)  # before mpirun hears of it
            self._agents.lose(node)

    # ------------------------------------------------------------------ the supervisor

    def _from_supervisor(self) -> None:
        try:
            self._supervisor.flush()
            messages = self._supervisor.receive()
        except OSError:
            self._farewell()
            sys.exit(0)
        for message in messages:
            if "serve" in message:
                self._agents.listen(message["serve"], message["hosts"])
            if "met" in message.get("say", {}):
                self._close_the_door()
            if "say" in message:
                for node in message["to"] or list(self._nodes):
                    self._to_node(node, message["say"])

    def _farewell(self) -> None:
        """What was said last still has to reach the nodes."""
        deadline = time.monotonic() + BEAT
        left = [one.wire for one in self._nodes.values()]
        while left and time.monotonic() < deadline:
            ready(left, [], 0.01)
            for wire in list(left):
                with contextlib.suppress(OSError):
                    wire.flush()
                    if wire.pending():
                        continue
                left.remove(wire)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, OSError) else "it said what nobody understands: %r" % error
