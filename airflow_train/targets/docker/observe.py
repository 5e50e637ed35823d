"""What lives of a run, by one stream of events per engine and process."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from airflow_train.targets.docker import plan
from airflow_train.targets.docker.engine import Engine

#: Seconds between two attempts to reach an engine that is away: first, longest.
_PAUSES = (0.2, 5.0)
#: A watch that nobody has asked for so many seconds ends; whoever asks again gets a new one.
IDLE = 600.0
#: event → state of the container from then on
_STATES = {
    "create": "created",
    "start": "running",
    "restart": "running",
    "unpause": "running",
    "pause": "paused",
    "die": "exited",
    "destroy": "gone",
}

_watches: dict[tuple[int, str], Watch] = {}
_lock = threading.Lock()


def watch(engine: Engine) -> Watch:
    """The watch of this process over an engine."""
    key = os.getpid(), engine.key
    with _lock:
        found = _watches.get(key)
        if found is None or not found.lives:
            found = _watches[key] = Watch(engine)
        return found


class Watch:
    """States of all containers of ours, kept by a thread that listens to one stream of events.

    The stream comes first and the list after it, so that nothing falls between. When the stream breaks, or was silent
    for a minute, which a lost connection is too, all is asked again.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._states: dict[str, str] | None = None
        #: container → how many events of it were heard; with how many it was seen to run
        self._heard: dict[str, int] = {}
        self._sure: dict[str, int] = {}
        #: container → when its last event was heard
        self._since: dict[str, float] = {}
        self._listens = threading.Event()
        self._asked = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="airflow-train docker events", daemon=True)
        self._thread.start()

    @property
    def lives(self) -> bool:
        """Does it still listen?"""
        return self._thread.is_alive() and not self._ended.is_set()

    def state(self, container: str) -> str | None:
        """`created`, `running`, `paused`, `exited` or `gone`; None while the engine isn't heard."""
        states = self._states
        self._asked = time.monotonic()
        return None if states is None else states.get(container, "gone")

    def heard(self, container: str) -> int:
        """How many events of a container have come."""
        return self._heard.get(container, 0)

    def sure(self, container: str) -> bool:
        """Was it seen to run since its last event? A short life's `die` may be told before its `start`."""
        return self._sure.get(container) == self.heard(container)

    def unchanged(self, container: str) -> float:
        """Seconds since its last event; without end where none was heard."""
        return time.monotonic() - self._since.get(container, -math.inf)

    def saw(self, container: str, heard: int) -> None:
        """It was seen to run, by a look that began when so many events had come."""
        self._sure[container] = heard

    def listen(self, seconds: float) -> bool:
        """Wait until the states are known."""
        return self._listens.wait(seconds)

    def end(self) -> None:
        """Listen no longer."""
        self._ended.set()

    def _follow(self) -> None:
        pause = _PAUSES[0]
        while not self._ended.is_set() and time.monotonic() - self._asked < IDLE:
            try:
                with self._engine.events() as stream:
                    self._list()
                    pause = _PAUSES[0]
                    for event in stream:
                        self._take(event)
                        if self._ended.is_set():
                            break
            except Exception:  # noqa: BLE001 - streams break in many ways; whoever needs the engine says so
                self._listens.clear()
                self._states = None
            self._ended.wait(pause)
            pause = min(pause * 2, _PAUSES[1])
        self._listens.clear()
        self._states = None

    def _list(self) -> None:
        """What is there. A container that runs is known to, until its next event."""
        found = {_name(one): _state(one["State"]) for one in self._engine.containers()}
        self._sure = {name: self.heard(name) for name, state in found.items() if state == "running"}
        self._states = found
        self._listens.set()

    def _take(self, event: Mapping[str, Any]) -> None:
        name = event.get("Actor", {}).get("Attributes", {}).get("name", "")
        state = _STATES.get(str(event.get("Action")))
        if self._states is not None and state is not None:
            self._heard[name] = self.heard(name) + 1
            self._since[name] = time.monotonic()
            self._states[name] = state
            if state == "gone":
                for known in (self._states, self._heard, self._sure, self._since):
                    known.pop(name, None)


def _name(listed: Mapping[str, Any]) -> str:
    return str(listed["Names"][0]).lstrip("/")


def _state(said: str) -> str:
    """The engine's word in ours."""
    return {"restarting": "running", "removing": "exited", "dead": "exited"}.get(said, said)


def state(engine: Engine, run_id: str, node: int = 0) -> tuple[str, dict[str, Any] | None]:
    """State of a node's container, and the engine's description of it where it had to be asked.

    What the events say is believed as long as the container lives; its end is looked up.

    :raises EngineUnreachable: nobody answers.
    """
    name = plan.container_name(run_id, node)
    listener = watch(engine)
    told, heard = listener.state(name), listener.heard(name)
    if told == "paused" or (told == "running" and listener.sure(name)):
        return told, None
    found = engine.inspect(name)
    seen = "gone" if found is None else _state(found["State"]["Status"])
    if seen == "running":
        listener.saw(name, heard)
    return seen, found
