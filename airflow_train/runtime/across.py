"""Ranks of several nodes, each of which has a supervisor of its own: node 0 decides, the others obey (`obeying.py`).

Node 0 sees all ranks as if they were its own: what the others say comes in as ends of ranks, and what it tells its own
it tells theirs. The order in which things come in at node 0 is the order in which they are said to have happened.
"""

from __future__ import annotations

import os
import time

from airflow_train.runtime import hosts, mpirun, protocol, records
from airflow_train.runtime.ranks import NodeRanks
from airflow_train.runtime.wire import BEAT, PROOF, SILENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airflow_train.runtime import cgroups
    from airflow_train.runtime.meeting import Meeting

#: So much longer is waited for a node that doesn't answer (seconds): by then it is lost, and ranks that can't reach it
#: have failed of that.
UNTIL_LOST = SILENCE + 2 * BEAT
#: What is known when another node has heard nothing of node 0, which goes on after all.
GIVEN_UP = "node 0 was given up by node %d, as %s"
#: Seconds after KILL within which a node must say that its ranks have ended.
PATIENCE = 10.0


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
        #: Since mpirun has ended: the ping that asks who is still there, and when that has to be known.
        self._own_loss: tuple[int, float] | None = None
        self._blamed = self._launcher_ends = False
        self._progress: list[int] | None = None
        #: node → what its ranks are doing
        self._doing: dict[int, dict[int, Any]] = {}
        self._answers_until = 0.0
        #: Of this node; empty where it isn't known to have it.
        self._address = ""
        self._patience_ends: float | None = None

    def start(self, ports: list[int], place: cgroups.Place | None) -> None:
        """Tell the nodes where everybody is; they start their ranks, or mpirun does."""
        super().start(ports, place)
        hosts.know(self.launch)
        self._address = self.launch["addresses"][0] if self.launch["interface"] else ""
        met: dict[str, Any] = {"addresses": self.launch["addresses"], "ports": ports}
        if isinstance(self._own, mpirun.MpirunRanks):
            session = met["session"] = self._own.session
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

    def progress(self) -> list[int] | None:
        found, self._progress = self._progress, None
        return found

    def ask(self) -> None:
        self._meeting.say({"ask": ""})
        self._answers_until = time.monotonic() + UNTIL_LOST

    def doing(self) -> dict[int, dict[str, Any]] | None:
        awaited = {one["node"] for one in self._elsewhere.values()}.difference(self._doing)
        if awaited and time.monotonic() < self._answers_until:
            return None
        return {rank: one for found in self._doing.values() for rank, one in found.items()}

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
                self._lose(message["lost"], message["why"], message["alone"])
            elif "said" in message:
                ended += self._heard(message["node"], message["said"])
        if self._patience_ends is not None and time.monotonic() > self._patience_ends:
            for node in {one["node"] for one in self._elsewhere.values()}:
                self._lose(node, "its supervisor does nothing", alone=False)
        if isinstance(self._own, mpirun.MpirunRanks):
            self._own.needed = bool(self._elsewhere)
        own = self._own.ended()
        for one, _ in own:
            self._elsewhere.pop(one["rank"], None)  # mpirun has started it here
        return self._proved(ended + own)

    def _heard(self, node: int, said: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        if "pong" in said:
            self._answered[node] = said["pong"]
            self._ahead[node] = _ahead(
                self._asked.get(said["pong"], 0.0), said["heard"], said["clock"], time.time()
            )
        elif "started" in said:
            record = said["started"]
            self._started.add(record["rank"])
            self._keep(record["rank"], "start.json", record)
        elif "exit" in said and said["exit"]["rank"] in self._elsewhere:
            record = said["exit"]
            self._keep(record["rank"], "exit.json", record)
            return [(self._elsewhere.pop(record["rank"]), record)]
        elif (
            "exit" in said and said["exit"]["could_not_start"]
        ):  # mpirun should have started it on another node
            self._keep(said["exit"]["rank"], "exit.json", said["exit"])
            self._stops.append((protocol.STOP_RANK_FAILED, {"rank": said["exit"]["rank"]}))
        elif "gone" in said:
            self._elsewhere.pop(said["gone"], None)
        elif "progress" in said:
            self._progress = [*(self._progress or []), *said["progress"]]
        elif "doing" in said:
            self._doing[node] = {int(rank): one for rank, one in said["doing"].items()}
        elif "news" in said:
            self._news.append(said["news"])
        elif "failed" in said:
            detail = "node %d is of no use: %s" % (node, said["failed"])
            self._stops.append((protocol.STOP_LAUNCHER, {"node": node, "detail": detail}))
        elif "stopped" in said:
            detail = "node %d ends: %s" % (node, said["stopped"])
            self._stops.append((protocol.STOP_OUTSIDE, {"node": node, "detail": detail}))
        elif "gave_up" in said:
            detail = GIVEN_UP % (node, said["gave_up"])
            self._stops.append((protocol.STOP_NODE_LOST, {"node": 0, "detail": detail}))
        return []

    def _keep(self, rank: int, name: str, record: dict[str, Any]) -> None:
        """What a node that is lost later had said stays known."""
        with records.tolerated("record of another node"):
            folder = os.path.join(self.launch["run_folder"], protocol.rank_folder(rank))
            records.create(os.path.join(folder, name), record)

    def _lose(self, node: int, why: str, alone: bool) -> None:
        self.lost_nodes[node] = why
        ranks = [rank for rank, one in self._elsewhere.items() if one["node"] == node]
        detail = "node %d was lost with %d of its ranks running, as %s" % (node, len(ranks), why)
        who, own = node, hosts.cut_off(self._address, why if alone else "")
        if own:
            who, detail = 0, own
        if self.left():
            self._stops.append((protocol.STOP_NODE_LOST, {"node": who, "detail": detail}))
        for rank in ranks:
            del self._elsewhere[rank]

    def _proved(
        self, ended: list[tuple[dict[str, Any], dict[str, Any]]]
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Ends that can be told of; those that a node's loss may have brought about are held until it is known."""
        now = time.monotonic()
        bad = [pair for pair in ended if pair[1]["code"] != 0 or _by_launcher(pair)]
        proved = [pair for pair in ended if pair not in bad]
        if bad:
            self._held += [(self._ping(), now + PROOF, pair) for pair in bad]
            self._launcher_ends = self._launcher_ends or any(map(_by_launcher, bad))
        if not self._held:
            return proved
        numbers, deadlines, pairs = zip(*self._held)
        answered = self._all_answered(max(numbers))
        settled = answered and not self._own.finishing()
        begun_here = bool(self._stops) or not all(map(self._consequence, pairs))
        if self._own.killed and self._own.lost is not None and not (begun_here or self._blamed):
            return proved  # whoever killed mpirun has begun it, which `stops` tells first
        patience = 0.0 if answered or begun_here else UNTIL_LOST
        if (settled and begun_here) or now > min(deadlines) + patience:
            self._held.clear()  # all or none, so that causes come before consequences
            proved += pairs
        return proved

    def _ping(self) -> int:
        """Ask all nodes whether they are still there; returns the number of the question."""
        self._pings += 1
        self._asked[self._pings] = time.time()
        self._meeting.say({"ping": self._pings})
        return self._pings

    def _all_answered(self, number: int) -> bool:
        """Have all nodes that aren't lost answered that question?"""
        nodes = set(range(1, self.launch["meeting"]["nodes"])).difference(self.lost_nodes)
        return all(self._answered.get(node, 0) >= number for node in nodes)

    def _consequence(self, pair: tuple[dict[str, Any], dict[str, Any]]) -> bool:
        """Does it look as if another rank, or mpirun, has brought this end about?"""
        if pair[1]["stopped_by"] == protocol.WRAPPER_KILLED:
            return self._launcher_ends or self._own.lost is not None
        return _by_launcher(pair) or self._cut_off(pair)

    def _cut_off(self, pair: tuple[dict[str, Any], dict[str, Any]]) -> bool:
        """Does it look as if this rank failed because it lost another?"""
        record = pair[1]
        if record["exception"]:
            import re  # no other node needs this pattern, which takes 5 ms to compile

            words = "%(type)s %(message)s" % record["exception"]
            return re.search(protocol.LOST_PEER, words, re.IGNORECASE) is not None
        return self._own.cut_off(record)

    def in_order(self, pair: tuple[dict[str, Any], dict[str, Any]]) -> tuple[bool, float]:
        _, seconds = super().in_order(pair)
        return self._consequence(pair), seconds - self._ahead.get(pair[0]["node"], 0.0)

    def stops(self) -> list[tuple[str, dict[str, Any]]]:
        """A lost node comes before the mpirun that ends of it."""
        found = list(self._stops)
        if self._own.lost is not None and not self._blamed:
            now = time.monotonic()
            self._own_loss = self._own_loss or (self._ping(), now + PROOF)
            number, deadline = self._own_loss
            patience = 0.0 if self._all_answered(number) else UNTIL_LOST
            self._blamed = bool(found) or now > deadline + patience
        return found + (self._own.stops() if self._blamed else [])

    def over(self) -> bool:
        return not self.left() and (self._own.lost is None or self._blamed)

    def close(self) -> None:
        self._meeting.say({"over": ""})
        self._own.let_go()
        self._meeting.close()
        self._own.clear()


def _ahead(asked: float, heard: float, answered: float, came: float) -> float:
    """Seconds by which another clock is ahead, 0 where it may be right: both can be one, whose order is exact.

    :param heard: by that clock, as `answered`.
    """
    difference, way = ((heard - asked) + (answered - came)) / 2, (came - asked) - (answered - heard)
    return difference if abs(difference) > way / 2 else 0.0


def _by_launcher(pair: tuple[dict[str, Any], dict[str, Any]]) -> bool:
    """Has mpirun ended that rank? It does so when another has failed, or when it is asked to from outside."""
    return bool(pair[1]["stopped_by"] == protocol.BY_LAUNCHER)
