"""Ranks of every node but node 0: their supervisor tells node 0 what becomes of them and does what that says."""

from __future__ import annotations

import os
import time

from airflow_train.runtime import exits, hosts, protocol, records
from airflow_train.runtime.launched import LaunchedRanks
from airflow_train.runtime.ranks import NodeRanks
from airflow_train.runtime.wire import PROOF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airflow_train.runtime import cgroups
    from airflow_train.runtime.meeting import Meeting


class OwnRanks(NodeRanks):
    """The view of every other node: it reports what becomes of its ranks and does what node 0 says."""

    def __init__(self, launch: dict[str, Any], own: NodeRanks, meeting: Meeting) -> None:
        super().__init__(launch)
        self._own, self._meeting = own, meeting
        self._reported: set[int] = set()
        self._dismissed = self._asked = False
        #: Pings that aren't answered yet, when they must be, and when they were heard by this node's clock.
        self._pings: list[tuple[int, float, float]] = []
        self._stops: list[tuple[str, dict[str, Any]]] = []

    def start(self, ports: list[int], place: cgroups.Place | None) -> None:
        super().start(ports, place)
        hosts.know(self.launch)
        if isinstance(self._own, LaunchedRanks):
            self._own.session = self.launch["session"]
        self._own.start(ports, place)
        hosts.serve(self._own, self._meeting)

    def here(self) -> int:
        return self._own.here()

    def left(self) -> list[dict[str, Any]]:
        return self._own.left()

    def over(self) -> bool:
        return not self.left() and (self._dismissed or bool(self._stops))

    def sources(self) -> list[int]:
        return [*self._own.sources(), *self._meeting.sources()]

    def news(self) -> list[str]:
        return self._own.news()

    def children(self) -> set[int]:
        pid = self._meeting.pid
        return self._own.children() | ({pid} if pid is not None else set())

    def tell(self, command: bytes) -> None:
        self._own.tell(command)

    def asked(self) -> bool:
        """Does node 0 want to know what they are doing?"""
        asked, self._asked = self._asked, False
        return asked

    def say(self, message: dict[str, Any]) -> None:
        """Say something to node 0."""
        self._meeting.say(message)

    def ended(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        for message in self._meeting.hear():
            if "lost" in message:
                if self._dismissed:
                    continue  # it has said so before it left
                detail = "node 0 was lost, as %s" % message["why"]
                self._stops.append((protocol.STOP_NODE_LOST, {"node": 0, "detail": detail}))
            elif "ping" in message.get("said", {}):
                self._pings.append((message["said"]["ping"], time.monotonic() + PROOF, time.time()))
            elif "tell" in message.get("said", {}):
                self._own.tell(message["said"]["tell"].encode())
            elif "ask" in message.get("said", {}):
                self._asked = True
            elif "over" in message.get("said", {}):
                self._dismissed = True
                if self._own.left():  # node 0 has given up
                    self._stops.append((protocol.STOP_JUDGED, {"detail": message["said"]["over"]}))
        before = {one["rank"] for one in self._own.left()}
        ended = self._own.ended()
        self._report_starts()
        for _, record in ended:
            self.say({"exit": record})
        after = {one["rank"] for one in self._own.left()}
        for rank in before - after - {one["rank"] for one, _ in ended}:
            self.say({"gone": rank})
        while self._pings and (not self.finishing() or time.monotonic() > self._pings[0][1]):
            number, _, heard = self._pings.pop(0)
            self.say({"pong": number, "heard": heard, "clock": time.time()})
        return ended

    def _report_starts(self) -> None:
        for one in self.launch["ranks"]:
            if one["rank"] not in self._reported:
                folder = os.path.dirname(exits.path(self.launch, one))
                found = records.read(os.path.join(folder, "start.json"))
                if found is not None:
                    self._reported.add(one["rank"])
                    self.say({"started": found})

    def stops(self) -> list[tuple[str, dict[str, Any]]]:
        return self._stops

    def close(self) -> None:
        self._own.let_go()
        self._meeting.close()
        self._own.clear()
