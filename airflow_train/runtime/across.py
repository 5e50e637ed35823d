"""Ranks of several nodes, each of which has a supervisor of its own: node 0 decides, the others obey and report.

Node 0 sees all ranks as if they were its own: what the others say comes in as ends of ranks, and what it tells its own
it tells theirs. The order in which things come in at node 0 is the order in which they are said to have happened.
"""

from __future__ import annotations

import os
import re
import time

from airflow_train.runtime import exits, hosts, mpirun, protocol, records
from airflow_train.runtime.ranks import NodeRanks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airflow_train.runtime import cgroups
    from airflow_train.runtime.meeting import Meeting

#: When a rank fails, this long is waited for all nodes to say that they are still there, and that everything which had
#: ended there has been told (seconds): whoever loses a peer fails of it and isn't to blame.
PROOF = 1.0
#: Seconds after KILL within which a node must say that its ranks have ended.
PATIENCE = 10.0


#: What frameworks say when another rank is gone.
_LOST_PEER = re.compile(
    r"connection (was )?(closed|reset|aborted)|broken pipe|HorovodInternalError", re.IGNORECASE
)


class AllRanks(NodeRanks):
    """Node 0's view: its own ranks and those of all other nodes."""

    def __init__(self, launch: dict[str, Any], own: NodeRanks, meeting: Meeting) -> None:
        super().__init__(launch)
        self._own, self._meeting = own, meeting
        world = launch["meeting"]["world"]
        self.count = len(world)
        self._elsewhere = {one["rank"]: one for one in world if one["node"]}
        self._started: set[int] = set()
        self._news: list[str] = []
        self._stops: list[tuple[str, dict[str, Any]]] = []
        self.lost_nodes: dict[int, str] = {}
        #: ends that are held back until every node has answered the ping of that number
        self._held: list[tuple[int, float, tuple[dict[str, Any], dict[str, Any]]]] = []
        self._pings = 0
        self._answered: dict[int, int] = {}
        #: ping → when it was sent; node → seconds by which its clock is ahead of ours
        self._asked: dict[int, float] = {}
        self._ahead: dict[int, float] = {}
        self._own_loss_since: float | None = None
        self._blamed = False
        self._patience_ends: float | None = None

    def start(self, ports: list[int], place: cgroups.Place | None) -> None:
        """Tell the nodes where everybody is; they start their ranks, or mpirun does."""
        super().start(ports, place)
        met: dict[str, Any] = {"addresses": self.launch["addresses"], "ports": ports}
        if isinstance(self._own, mpirun.MpirunRanks):
            session = met["session"] = self._own.session
            self._own.interface = hosts.interface(self.launch["addresses"][0])
            self._own.prepare = lambda: hosts.prepare(self.launch, session, self._meeting)
        self._meeting.say({"met": met})
        self._own.start(ports, place)

    def here(self) -> int:
        return self._own.here() + len(self._started)

    def left(self) -> list[dict[str, Any]]:
        held = [pair[0] for _, _, pair in self._held]
        return [*self._own.left(), *self._elsewhere.values(), *held]

    def left_here(self) -> list[dict[str, Any]]:
        return self._own.left()

    def sources(self) -> list[int]:
        return [*self._own.sources(), *self._meeting.sources()]

    def news(self) -> list[str]:
        found, self._news = self._news, []
        return self._own.news() + found

    def children(self) -> set[int]:
        pid = self._meeting.pid
        return self._own.children() | ({pid} if pid is not None else set())

    def tell(self, command: bytes) -> None:
        self._own.tell(command)
        self._meeting.say({"tell": command.decode()})
        if b"K" in command and self._patience_ends is None:
            self._patience_ends = time.monotonic() + PATIENCE

    def ended(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        ended = []
        for message in self._meeting.hear():
            if "lost" in message:
                self._lose(message["lost"], message["why"])
            elif "said" in message:
                ended += self._heard(message["node"], message["said"])
        if self._patience_ends is not None and time.monotonic() > self._patience_ends:
            for node in {one["node"] for one in self._elsewhere.values()}:
                self._lose(node, "its supervisor does nothing")
        if isinstance(self._own, mpirun.MpirunRanks):
            self._own.needed = bool(self._elsewhere)
        ended += self._own.ended()
        return self._proved(ended)

    def _heard(self, node: int, said: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        if "pong" in said:
            self._answered[node] = said["pong"]
            asked = self._asked.get(said["pong"], 0.0)
            self._ahead[node] = said["clock"] - (asked + time.time()) / 2
        elif "started" in said:
            record = said["started"]
            self._started.add(record["rank"])
            self._keep(record["rank"], "start.json", record)
        elif "exit" in said and said["exit"]["rank"] in self._elsewhere:
            record = said["exit"]
            self._keep(record["rank"], "exit.json", record)
            return [(self._elsewhere.pop(record["rank"]), record)]
        elif "gone" in said:
            self._elsewhere.pop(said["gone"], None)
        elif "news" in said:
            self._news.append(said["news"])
        elif "failed" in said:
            detail = "node %d is of no use: %s" % (node, said["failed"])
            self._stops.append((protocol.STOP_LAUNCHER, {"node": node, "detail": detail}))
        elif "stopped" in said:
            detail = "node %d ends: %s" % (node, said["stopped"])
            self._stops.append((protocol.STOP_OUTSIDE, {"node": node, "detail": detail}))
        return []

    def _keep(self, rank: int, name: str, record: dict[str, Any]) -> None:
        """What a node that is lost later had said stays known."""
        with records.tolerated("record of another node"):
            folder = os.path.join(self.launch["run_folder"], protocol.rank_folder(rank))
            records.create(os.path.join(folder, name), record)

    def _lose(self, node: int, why: str) -> None:
        self.lost_nodes[node] = why
        ranks = [rank for rank, one in self._elsewhere.items() if one["node"] == node]
        detail = "node %d was lost with %d of its ranks running, as %s" % (node, len(ranks), why)
        if self.left():
            self._stops.append((protocol.STOP_NODE_LOST, {"node": node, "detail": detail}))
        for rank in ranks:
            del self._elsewhere[rank]

    def _proved(
        self, ended: list[tuple[dict[str, Any], dict[str, Any]]]
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Ends that can be told of; those that a node's loss may have brought about are held until it is known."""
        now = time.monotonic()
        proved = [pair for pair in ended if pair[1]["code"] == 0]
        bad = [pair for pair in ended if pair[1]["code"] != 0]
        if bad:
            self._pings += 1
            self._asked[self._pings] = time.time()
            self._meeting.say({"ping": self._pings})
            self._held += [(self._pings, now + PROOF, pair) for pair in bad]
        if not self._held:
            return proved
        numbers, deadlines, pairs = zip(*self._held)
        nodes = set(range(1, self.launch["meeting"]["nodes"])).difference(self.lost_nodes)
        answered = all(self._answered.get(node, 0) >= max(numbers) for node in nodes)
        settled = answered and not self._own.finishing()
        begun_here = bool(self._stops) or not all(map(self._cut_off, pairs))
        if (settled and begun_here) or now > min(deadlines):
            self._held.clear()  # all or none, so that causes come before consequences
            proved += pairs
        return proved

    def _cut_off(self, pair: tuple[dict[str, Any], dict[str, Any]]) -> bool:
        """Does it look as if this rank failed because it lost another?"""
        record = pair[1]
        if record["exception"]:
            return bool(_LOST_PEER.search("%(type)s %(message)s" % record["exception"]))
        return self._own.cut_off(record)

    def in_order(self, pair: tuple[dict[str, Any], dict[str, Any]]) -> tuple[bool, float]:
        _, seconds = super().in_order(pair)
        consequence = pair[1]["code"] != 0 and self._cut_off(pair)
        return consequence, seconds - self._ahead.get(pair[0]["node"], 0.0)

    def stops(self) -> list[tuple[str, dict[str, Any]]]:
        """A lost node comes before the mpirun that ends of it."""
        found = list(self._stops)
        if self._own.lost is not None:
            self._own_loss_since = self._own_loss_since or time.monotonic()
            if found or time.monotonic() - self._own_loss_since > PROOF:
                found += self._own.stops()
                self._blamed = True
        return found

    def over(self) -> bool:
        return not self.left() and (self._own.lost is None or self._blamed)

    def close(self) -> None:
        self._meeting.say({"over": ""})
        self._own.let_go()
        self._meeting.close()
        self._own.clear()


class OwnRanks(NodeRanks):
    """The view of every other node: it reports what becomes of its ranks and does what node 0 says."""

    def __init__(self, launch: dict[str, Any], own: NodeRanks, meeting: Meeting) -> None:
        super().__init__(launch)
        self._own, self._meeting = own, meeting
        self._reported: set[int] = set()
        self._dismissed = False
        #: Pings that aren't answered yet, and when they must be.
        self._pings: list[tuple[int, float]] = []
        self._stops: list[tuple[str, dict[str, Any]]] = []

    def start(self, ports: list[int], place: cgroups.Place | None) -> None:
        super().start(ports, place)
        if isinstance(self._own, mpirun.WrapperRanks):
            self._own.session = self.launch["session"]
            self._own.interface = hosts.interface(self.launch["addresses"][self._meeting.node])
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

    def say(self, message: dict[str, Any]) -> None:
        """Say something to node 0."""
        self._meeting.say(message)

    def ended(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        for message in self._meeting.hear():
            if "lost" in message:
                detail = "node 0 was lost, as %s" % message["why"]
                self._stops.append((protocol.STOP_NODE_LOST, {"node": 0, "detail": detail}))
            elif "ping" in message.get("said", {}):
                self._pings.append((message["said"]["ping"], time.monotonic() + PROOF))
            elif "tell" in message.get("said", {}):
                self._own.tell(message["said"]["tell"].encode())
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
            self.say({"pong": self._pings.pop(0)[0], "clock": time.time()})
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
