"""Node 0's end of mpirun's agents (`agent.py`), which come through a socket in the session folder."""

from __future__ import annotations

import contextlib
import os
import socket

from airflow_train.runtime.wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Agents:
    """mpirun's agents, each of which wants one command started on one node and waits for its end."""

    def __init__(self, to_node: Any) -> None:
        self._to_node = to_node
        self._listener: socket.socket | None = None
        self._hosts: dict[str, int] = {}
        self._last = 0
        self._new: dict[int, Wire] = {}
        #: number of a started command → (node, the agent that waits for it)
        self._waiting: dict[int, tuple[int, Wire]] = {}

    def listen(self, path: str, hosts: dict[str, int]) -> None:
        """From now on agents may come."""
        self._hosts = hosts
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        os.chmod(path, 0o600)
        self._listener.listen(len(hosts))
        self._listener.settimeout(0)

    def wires(self) -> list[Wire]:
        return [*self._new.values(), *(wire for _, wire in self._waiting.values())]

    def sources(self) -> list[int]:
        return [] if self._listener is None else [self._listener.fileno()]

    def attend(self, found: set[int]) -> None:
        """Take what agents ask for, and notice those that have gone."""
        for descriptor in found.intersection(self._new):
            wire = self._new.pop(descriptor)
            try:
                asked = wire.receive()
                if asked:
                    self._start(wire, str(asked[0].get("host")), str(asked[0].get("command")))
                else:
                    self._new[descriptor] = wire
            except OSError:
                wire.close()
        for number, (node, wire) in list(self._waiting.items()):
            if wire.descriptor in found:
                try:
                    wire.flush()
                    wire.receive()  # nothing is expected but its end
                except OSError:
                    del self._waiting[number]
                    wire.close()
                    self._to_node(node, {"end": number})
        if self._listener is not None and self._listener.fileno() in found:
            with contextlib.suppress(OSError):
                while True:
                    wire = Wire(self._listener.accept()[0])
                    self._new[wire.descriptor] = wire

    def _start(self, wire: Wire, host: str, command: str) -> None:
        node = self._hosts.get(host)
        if node is None:
            self._answer(wire, {"output": "no node of this run has the address %s\n" % host, "stream": 2})
            wire.close()
            return
        self._last += 1
        self._waiting[self._last] = (node, wire)
        if not self._to_node(node, {"start": self._last, "command": command}):
            self.lose(node)

    def from_node(self, message: dict[str, Any]) -> None:
        """Output or end of a command."""
        number = message.get("output", message.get("ended"))
        if number not in self._waiting:
            return
        _, wire = self._waiting[number]
        if "ended" in message:
            del self._waiting[number]
            self._answer(wire, {"status": int(message["status"])})
            wire.close()
        else:
            self._answer(wire, {"output": str(message["text"]), "stream": int(message["stream"])})

    def lose(self, node: int) -> None:
        """A node is gone; what was started there is lost, and its agents say so by their exit code."""
        for number, (there, wire) in list(self._waiting.items()):
            if there == node:
                del self._waiting[number]
                wire.close()

    @staticmethod
    def _answer(wire: Wire, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # that it has gone is seen when it is looked at
            wire.send(message)
