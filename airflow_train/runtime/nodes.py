"""Nodes of a run that has several: node 0 waits for the others, decides and judges; they do what it says.

Each stages its own copy of the code, while it is being connected. Node 0 begins when all are there.
"""

from __future__ import annotations

from airflow_train.runtime import hosts, node, open_mpi, phases, ports, protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airflow_train.runtime.obeying import OwnRanks

#: Seconds between two looks while nodes meet.
LOOK = 0.1
#: What node 0 is told of a node that isn't ready though nothing is wrong there.
TOO_LONG = "laying out the code took longer than it may"
#: Seconds that ranks have after TERM when node 0 is lost.
ORPHAN_GRACE = 1.0


def of(launch: dict[str, Any], folder: str) -> node.Node:
    """The supervisor of this node."""
    return (OtherNode if launch["meeting"]["node"] else FirstNode)(launch, folder)


class _OneOfSeveral(node.Node):
    """What they all have in common."""

    #: Where the ranks meet, in the order of the launch file.
    _ports: list[int]

    def _draw_ports(self) -> list[int]:
        return self._ports

    def _own_ports(self) -> int:
        """How many of them are on this node."""
        facts = self.launch["meeting"]
        return sum(one == facts["node"] for one in facts["ports"])


class FirstNode(_OneOfSeveral):
    """Node 0."""

    #: Whom node 0 has turned away last, and why: a node whose clock is wrong, maybe.
    _refused: str

    def _ready(self) -> bool:
        try:
            self.meeting.begin()
        except OSError as error:
            port = self.launch["meeting"]["port"]
            self.error = "port %d, where the nodes meet, can't be had: %s" % (port, error.strerror)
            return False
        return super()._ready() and not self._told and self._gather()

    def _gather(self) -> bool:
        """Wait for all other nodes; False when there is no point in starting."""
        count = self.launch["meeting"]["nodes"]
        own = reached_at = self._refused = ""
        came: set[int] = set()
        ready: dict[int, dict[str, Any]] = {}
        self.phases.enter("meet", "waiting for %s" % _nodes(range(1, count)))
        try:
            if self.launch["mpirun"]:
                open_mpi.settle(self.launch["mpirun"])
            with ports.free(self._own_ports(), "") as numbers:
                while len(ready) < count - 1:
                    for message in self.meeting.wait(LOOK):
                        if "came" in message:
                            came.add(message["came"])
                            own = message["own"]
                            reached_at = reached_at or hosts.found(own)
                        elif "lost" in message:
                            own_fault = hosts.cut_off(reached_at, message["why"] if message["alone"] else "")
                            self._lost(message["lost"], message["why"], own_fault)
                            return False
                        elif "refused" in message:
                            self._refused = message["refused"]
                        elif "ready" in message["said"]:
                            ready[message["node"]] = message["said"]["ready"]
                        elif "stopped" in message["said"]:
                            self._lost(message["node"], message["said"]["stopped"])
                            return False
                    if not self._goes_on(count, came, ready):
                        return False
        except open_mpi.NoOpenMpi as error:
            self.error, self.reason = str(error), "could_not_start"
            return False
        self.launch["addresses"] = [own, *(ready[one]["address"] for one in range(1, count))]
        mine = {0: numbers, **{number: said["ports"] for number, said in ready.items()}}
        self._ports = [mine[number].pop(0) for number in self.launch["meeting"]["ports"]]
        return True

    def _told_facts(self) -> dict[str, Any]:
        return {"node": 0, "detail": "node 0 ends: " + node.STOPPED_OUTSIDE}

    def _goes_on(self, count: int, came: set[int], ready: dict[int, dict[str, Any]]) -> bool:
        failed = [(number, said["failed"]) for number, said in ready.items() if said["failed"]]
        if failed:
            self.error = "node %d: %s" % failed[0]
            return False
        if self._told or self._canceled():
            return False
        self.heartbeat.beat()
        self._ship()
        absent = [number for number in range(1, count) if number not in came]
        staging = [number for number in sorted(came) if number not in ready]
        words = [_verb(absent, "has", "have", "not come")] if absent else []
        words += [_verb(staging, "is", "are", "still laying out the code")] if staging else []
        try:
            self.phases.check(", ".join(words))
        except phases.LimitPassed:
            words += [self._refused] if absent and self._refused else []
            detail = "%d of %d nodes had come; %s" % (len(came) + 1, count, ", ".join(words))
            self._stop_record(protocol.STOP_PHASE_LIMIT, phase="meet", detail=detail)
            return False
        return True

    def _lost(self, number: int, why: str, own_fault: str = "") -> None:
        detail = "node %d was lost before the ranks were started, as %s" % (number, why)
        who, detail = (0, own_fault) if own_fault else (number, detail)
        self._stop_record(protocol.STOP_NODE_LOST, node=who, detail=detail)


class OtherNode(_OneOfSeveral):
    """Every node but node 0."""

    ranks: OwnRanks

    def _ready(self) -> bool:
        self._reported_stop = False
        self.meeting.begin()
        staged = super()._ready()
        if self._told:
            return False
        with ports.free(self._own_ports(), "") as numbers:
            return self._join(staged, numbers)

    def _join(self, staged: bool, numbers: list[int]) -> bool:
        """Tell node 0 that this node is ready, or why it isn't, and wait for its word."""
        self.phases.enter("meet", "waiting for node 0 at %s" % self.launch["meeting"]["host"])
        trouble = connected = ""
        while True:
            for message in self.meeting.wait(LOOK):
                said = message.get("said", {})
                if "trouble" in message:
                    trouble = message["trouble"]
                    print(protocol.timestamp(), trouble, flush=True)
                elif "welcome" in message:
                    connected = message["own"]
                    failed = self.error or (None if staged else TOO_LONG)
                    ready = {"failed": failed, "address": connected, "ports": numbers}
                    self.meeting.say({"ready": ready})
                elif "met" in said:
                    self.launch.update(said["met"])
                    self._ports = said["met"]["ports"]
                    return staged
                elif "over" in said or "lost" in message:
                    self.error = self.error or "node 0 ended before the ranks were started"
                    return False
            self.heartbeat.beat()
            if self._told:
                self.meeting.say({"stopped": node.STOPPED_OUTSIDE})
                return False
            if not connected and self.phases.passed():
                self.error = trouble or "node 0 can't be reached"
                return False

    def _start_ranks(self) -> None:
        try:
            super()._start_ranks()
        except OSError as error:
            self.meeting.say({"failed": "its ranks could not be started: %s" % (error.strerror or error)})
            raise

    def _event(self, phase: str, reason: str) -> None:
        """Node 0 tells what the run waits for; this goes to the node's log."""
        print(protocol.timestamp(), phase, reason, flush=True)
        self._ship(at_once=True)

    def _tell_news(self, words: str) -> None:
        self.meeting.say({"news": words})

    def _find_reason(self) -> None:
        """Why ranks should end is for node 0 to say, but it is told that the container is to end."""
        if self._told and not self._reported_stop:
            self._reported_stop = True
            self.meeting.say({"stopped": node.STOPPED_OUTSIDE})
        if self.phases.name == "run" and (heard := self.progress.news(self.mirror.copied)) is not None:
            self.meeting.say({"progress": heard})
        if self.ranks.asked():
            self.meeting.say({"doing": self.progress.doing(self.ranks.left_here())})

    def _rank_ended(self, one: dict[str, Any], exit_record: dict[str, Any]) -> None:
        """`OwnRanks` has told node 0."""

    def _grace(self) -> float:
        """Short, when this node stops its ranks by itself: node 0 is gone."""
        return ORPHAN_GRACE


def _nodes(numbers: Any) -> str:
    """`node 2`, `nodes 1, 2 and 3`, `nodes 1, 2, 3 and 12 more`."""
    words = [str(one) for one in sorted(numbers)]
    if len(words) == 1:
        return "node %s" % words[0]
    if len(words) > 8:
        words = [*words[:7], "%d more" % (len(words) - 7)]
    return "nodes %s and %s" % (", ".join(words[:-1]), words[-1])


def _verb(numbers: list[int], one: str, several: str, rest: str) -> str:
    return "%s %s %s" % (_nodes(numbers), one if len(numbers) == 1 else several, rest)
