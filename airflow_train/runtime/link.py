"""The end of a node's connection to node 0, a process of its own beside the supervisor.

It dials until node 0 answers, proves who it is, and passes messages on between node 0 and its supervisor. What mpirun
needs on this node (its daemon) it starts when node 0 asks for it, in a session of its own, and ends it when node 0
doesn't want it any more or can't be reached. It listens nowhere.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import time

from airflow_train.runtime import processes, tls
from airflow_train.runtime.started import Started
from airflow_train.runtime.wire import BEAT, SILENCE, Wire, ready

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

#: Seconds between two attempts to reach node 0, first and at last, and that one may take.
AGAIN = (0.02, 0.2)
ATTEMPT = 3.0
#: Seconds that the supervisor has to end the ranks in peace when node 0 is lost.
PATIENCE = 5.0
#: Seconds that commands have to end by themselves when the supervisor has let the ranks go.
LAST_WORDS = 2.0


class Link:
    """One connection, from the first attempt to the end."""

    def __init__(self, meeting: dict[str, Any], control: socket.socket) -> None:
        self._meeting, self._supervisor = meeting, Wire(control)
        self._contexts = tls.contexts(meeting["certificates"], server=False)
        self._started = Started(self._to_lead)
        self._problem = ""
        self._waiting: list[dict[str, Any]] = []
        self._lead: Wire | None = None
        self._leaves_at: float | None = None

    def run(self) -> None:
        """Until the supervisor closes its end, or a little after node 0 is lost."""
        self._lead = lead = self._dial()
        self._heard = self._looked = time.monotonic()
        self._next_beat = 0.0
        try:
            while True:
                wires = [lead] if self._leaves_at else [lead, self._supervisor]
                pause = min(self._next_beat - time.monotonic(), 0.05 if self._leaves_at else BEAT)
                found = ready(wires, self._started.sources(), pause)
                if self._supervisor.descriptor in found:
                    self._from_supervisor()
                if lead.descriptor in found:
                    self._from_lead(lead)
                self._started.attend(found)
                self._beat()
                if self._leaves_at and (self._started.idle() or time.monotonic() > self._leaves_at):
                    self._leave()
        except OSError as error:
            if not self._leaves_at:
                with contextlib.suppress(OSError):  # it may go on one day
                    lead.send({"gave_up": str(error)})
                with contextlib.suppress(OSError):
                    self._supervisor.send({"lost": 0, "why": str(error)})
                    self._wait_for_supervisor()
        self._leave()

    # ------------------------------------------------------------------ dialling

    def _dial(self) -> Wire:
        """Reach node 0, however long that takes: the supervisor knows the limit and is told what is in the way."""
        pause = AGAIN[0]
        while True:
            begun = time.monotonic()
            for context in self._contexts:
                try:
                    return self._attempt(context)
                except OSError as error:
                    problem = error
                    if not isinstance(error, ssl.SSLCertVerificationError):
                        break
            self._in_the_way(problem)
            left = begun + pause - time.monotonic()
            if ready([self._supervisor], [], left):
                self._from_supervisor()
            pause = min(pause * 1.5, AGAIN[1])

    def _attempt(self, context: ssl.SSLContext) -> Wire:
        host, port = self._meeting["host"], self._meeting["port"]
        # as bytes, or Python would load its tables of other scripts' names
        name = host.encode("ascii")
        address = socket.getaddrinfo(name, port, socket.AF_INET, socket.SOCK_STREAM)[0][4]
        plain = socket.socket(socket.AF_INET)
        try:
            plain.settimeout(ATTEMPT)
            plain.connect(address)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = tls.wrapped(context, plain, server=False)
        except BaseException:
            plain.close()
            raise
        try:
            connection.do_handshake()
            if tls.node_of(connection, self._meeting["nodes"]) != 0:
                raise ConnectionError("who answers there is not node 0")
            wire = Wire(connection)
            deadline = (
                time.monotonic() + ATTEMPT
            )  # node 0 looks at our certificate after we have looked at its
            while not _first(wire, deadline):
                pass
        except BaseException:
            connection.close()
            raise
        own = connection.getsockname()[0]
        self._supervisor.send({"welcome": 0, "own": own})
        for message in self._waiting:
            wire.send(message)
        return wire

    def _in_the_way(self, error: OSError) -> None:
        where = "%s:%d" % (self._meeting["host"], self._meeting["port"])
        problem = "node 0 can't be reached at %s: %s" % (where, tls.why(error))
        if problem != self._problem:
            self._problem = problem
            self._supervisor.send({"trouble": problem})

    # ------------------------------------------------------------------ node 0

    def _to_lead(self, message: dict[str, Any]) -> None:
        if self._lead is None:
            self._waiting.append(message)
        else:
            self._lead.send(message)

    def _from_lead(self, lead: Wire) -> None:
        lead.flush()
        for message in lead.receive():
            self._heard = time.monotonic()
            if "start" in message:
                self._started.start(int(message["start"]), str(message["command"]))
            elif "end" in message:
                self._started.end(int(message["end"]))
            elif "beat" not in message:
                self._supervisor.send({"said": message})

    def _beat(self) -> None:
        now = time.monotonic()
        if now < self._next_beat:
            return
        if now - self._looked > 2 * BEAT:  # this process itself was stopped
            self._heard = now
        self._looked, self._next_beat = now, now + BEAT
        if now - self._heard > SILENCE:
            raise ConnectionError("nothing has come from it for %g s" % SILENCE)
        self._to_lead({"beat": 1})

    # ------------------------------------------------------------------ the supervisor

    def _from_supervisor(self) -> None:
        try:
            self._supervisor.flush()
            messages = self._supervisor.receive()
        except OSError:
            if self._lead is None:
                self._leave()
            self._leaves_at = time.monotonic() + LAST_WORDS
            return
        for message in messages:
            if "serve" in message:
                self._started.allow(message["serve"])
            else:
                self._to_lead(message["say"])

    def _wait_for_supervisor(self) -> None:
        """:raises OSError: it has closed its end."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ready([self._supervisor], [], deadline - time.monotonic())
            self._supervisor.flush()
            self._supervisor.receive()

    def _leave(self) -> NoReturn:
        """Send what is left, end everything that was started, and go."""
        if self._lead is not None:
            with contextlib.suppress(OSError):
                deadline = time.monotonic() + BEAT
                while self._lead.pending() and time.monotonic() < deadline:
                    ready([self._lead], [], 0.01)
                    self._lead.flush()
        processes.end_descendants()
        sys.exit(0)


def _first(wire: Wire, deadline: float) -> dict[str, Any]:
    """The first message, empty while there is none."""
    if time.monotonic() > deadline:
        raise ConnectionError("it doesn't answer")
    ready([wire], [], deadline - time.monotonic())
    return next(iter(wire.receive()), {})
