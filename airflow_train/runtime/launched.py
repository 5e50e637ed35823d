"""Ranks that an mpirun starts, maybe that of another node.

For each rank mpirun starts a stand-in, a shell that says so and waits: a Python of its own would take a rank 25 ms of a
core. The supervisor forks the wrapper (`rank.py`), which runs the script as that rank, in the stand-in's environment.
The stand-in stays until every rank has ended, so that mpirun never sees a failure and kills nobody: who is stopped
when, and how long it may take, is the supervisor's to say. When mpirun ends a rank all the same, the wrapper is told.

The two meet in the session folder, in named pipes: `ranks` for what stand-ins say, and one for each to wait at.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat

from airflow_train.runtime import exits, mpi_environment, processes, protocol, records
from airflow_train.runtime.forked import ForkedRanks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airflow_train.runtime import cgroups

#: Of an environment; more, Linux gives no process (bytes).
_MOST = 1 << 23
#: What mpirun starts for every rank. Opened for both ways, a named pipe doesn't wait for its other end; read alone, it
#: ends when the supervisor does. A signal ends the `read`, too. Not every system shows a process's environment.
_STAND_IN = r"""
: "${OMPI_COMM_WORLD_RANK?this is what mpirun starts for a rank}"
here=${0%/*} rank=$OMPI_COMM_WORLD_RANK
place=$here/rank-$rank
[ -p "$place" ] || place=$here/elsewhere
[ -p "$here/ranks" ] || exit 0
exec 3<>"$place" 4<>"$here/ranks" 5<"$place" 3>&- || exit
trap '' INT HUP PIPE
trap 'told=1; echo "end $rank" >&4' TERM
[ -r "/proc/$$/environ" ] || env -0 >"$here/environment-$rank"
echo "here $rank $$" >&4
while told=; do
    read -r go <&5 && exit 0
    [ -n "$told" ] || exit 0
done
"""


class LaunchedRanks(ForkedRanks):
    """Ranks whose stand-ins an mpirun starts."""

    def __init__(self, launch: dict[str, Any]) -> None:
        super().__init__(launch)
        #: Where Open MPI keeps its files; where the mpirun is another node's, that one says it.
        self.session = ""
        self._left: dict[int, dict[str, Any]] = {}
        #: What stand-ins say; where those wait that nobody expects here.
        self._pipes: list[int] = []
        #: rank → the pipe at which its stand-in waits
        self._waits: dict[int, int] = {}
        #: rank → process of its stand-in, while it lives as far as is known
        self._stand_ins: dict[int, int] = {}
        #: Ranks that mpirun has started.
        self.came: set[int] = set()
        #: Ranks that know that mpirun wants them to end.
        self._unwanted: set[int] = set()
        #: Ranks that could not be started, and their exit records.
        self._failed: list[tuple[dict[str, Any], dict[str, Any]]] = []
        #: What mpirun has made of the rank that is started next.
        self._environment: dict[str, str] = {}
        self._words = self._said = b""
        #: Processes that inherit stand-ins when mpirun or its daemon dies.
        self._heirs: set[int] = set()

    def start(self, ports: list[int], place: cgroups.Place | None) -> None:
        """Let stand-ins come."""
        self.started, self.place = protocol.timestamp(), place
        if os.path.lexists(self.session):
            self._remove_session()
        os.mkdir(self.session, 0o700)
        self._pipes = [self._pipe("ranks"), self._pipe("elsewhere")]
        self._left = {one["rank"]: one for one in self.launch["ranks"]}
        self._waits = {number: self._pipe("rank-%d" % number) for number in self._left}
        with open(os.path.join(self.session, protocol.STAND_IN_FILE), "w", encoding="ascii") as file:
            file.write(_STAND_IN)
        self._ports = ports

    def _pipe(self, name: str) -> int:
        path = os.path.join(self.session, name)
        os.mkfifo(path, 0o600)
        return os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def environment(self, launchers: list[int]) -> dict[str, str]:
        """What mpirun or its daemon shall see.

        :param launchers: processes that inherit stand-ins when mpirun or its daemon dies, beside this one.
        """
        self._heirs = {os.getpid(), *launchers}
        interface = self.launch.get("interface") or ""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(protocol.WITHHELD_PREFIXES)}
        environment = mpi_environment.for_mpirun(environment)
        if interface:
            environment.update(mpi_environment.daemons(interface))
        environment[protocol.RUN_ID] = self.launch["run_id"]
        return environment

    def left(self) -> list[dict[str, Any]]:
        return list(self._left.values())

    def sources(self) -> list[int]:
        return [*self._pipes[:1], *(self._waits[number] for number in self._stand_ins)]

    def news(self) -> list[str]:
        """Nothing, but a stand-in whose mpirun or daemon has died is noticed now."""
        for number, pid in self._stand_ins.items():
            if processes.parent(pid) in self._heirs:
                self._launcher_ends(number)
        return []

    def tell(self, command: bytes) -> None:
        self._said += command  # for those that mpirun is about to start
        super().tell(command)

    def ended(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        self._accept()
        ended, self._failed = [*super().ended(), *self._failed], []
        for one, _ in ended:
            self._left.pop(one["rank"], None)
        if self._said and not self._here():
            self._drop_absent()
        return ended

    def _drop_absent(self) -> None:
        """Who hasn't come by now shall not start any more."""
        here = self._here()
        self._left = {number: one for number, one in self._left.items() if number in here}

    def _here(self) -> set[int]:
        """Ranks that mpirun has started and that haven't ended."""
        return {one["rank"] for one, _ in self.wrappers.values()}

    def _accept(self) -> None:
        """Take what stand-ins say, and notice those that are gone."""
        if not self._pipes:
            return
        lines, self._words = lines_of(self._pipes[0], self._words)
        for line in lines:
            what, *numbers = line.split() or [b""]
            with contextlib.suppress(ValueError, IndexError):  # a script may write there, too
                if what == b"here":
                    self._come(int(numbers[0]), int(numbers[1]))
                elif what == b"end":
                    self._launcher_ends(int(numbers[0]))
        waits = [self._waits[number] for number in self._stand_ins]
        gone = select.select(waits, [], [], 0)[0] if waits else []  # nobody reads there any more
        for number in [number for number in self._stand_ins if self._waits[number] in gone]:
            del self._stand_ins[number]
            if self._unwanted and number not in self._unwanted:
                self._launcher_ends(number)  # a shell may miss a signal on its way to wait again
            else:
                self._kill(number)

    def _come(self, number: int, pid: int) -> None:
        """Start the rank of a stand-in."""
        one = self._left.get(number)
        if one is None and number not in self._waits:  # it should be on another node, and will say so
            world = (self.launch.get("meeting") or {}).get("world", ())
            one = next((other for other in world if other["rank"] == number), None)
        if one is None or number in self.came or number in self._unwanted:
            return
        if number in self._waits:
            self._hold(number, pid)
        environment = self._environment_of(number, pid)
        if environment and processes.parent(pid) not in self._heirs:  # else it, or mpirun, is dead
            self.came.add(number)
            self._left[number], self._environment = one, environment
            try:
                self._start(one)
            except OSError as error:
                self._failed.append(
                    (one, self._refused(one, "no process can be started: %s" % error.strerror))
                )
            self._tell(self._said, {number})

    def _hold(self, number: int, pid: int) -> None:
        """Keep a stand-in waiting, and notice from now on when it is gone."""
        with contextlib.suppress(OSError):  # it is already
            path = os.path.join(self.session, "rank-%d" % number)
            held, self._waits[number] = self._waits[number], os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            os.close(held)
            self._stand_ins[number] = pid

    def _environment_of(self, number: int, pid: int) -> dict[str, str]:
        """Empty where it is gone."""
        data = content("/proc/%d/environ" % pid)
        data = content(os.path.join(self.session, "environment-%d" % number)) if data is None else data
        pairs = [one.partition(b"=") for one in (data or b"").split(b"\0") if one]
        return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs if name}  # none can be set

    def _run(self, one: dict[str, Any], control: int) -> int:
        for pipe in (*self._pipes, *self._waits.values()):
            os.close(pipe)
        os.environ.clear()
        os.environ.update(mpi_environment.restored(self._environment))
        if self.launch.get("interface"):
            os.environ.update(mpi_environment.ranks(self.launch["interface"]))
        problem = wrong_world(self.launch, one, self._environment)
        if problem:
            self._refused(one, problem)
            return 0
        return super()._run(one, control)

    def _refused(self, one: dict[str, Any], problem: str) -> dict[str, Any]:
        """The exit record of a rank that can't be started."""
        record = exits.empty(one, protocol.timestamp(), could_not_start=problem)
        with records.tolerated("exit record"):
            records.create(exits.path(self.launch, one), record)
        return record

    def _launcher_ends(self, number: int) -> None:
        """Tell the wrapper of a rank that its mpirun wants it to end, or is dead."""
        if number not in self._unwanted:
            self._unwanted.add(number)
            self._tell(b"L", {number})

    def _kill(self, number: int) -> None:
        """End a rank as whoever has killed its stand-in wants it: at once, and the kernel kills the script."""
        for pid, (one, _) in self.wrappers.items():
            if one["rank"] == number:
                os.kill(pid, signal.SIGKILL)

    def let_go(self) -> None:
        """Let the stand-ins end."""
        for pipe in self._waits.values():
            with contextlib.suppress(OSError):  # nobody waits there
                os.write(pipe, b"\n")
        for pipe in (*self._pipes, *self._waits.values()):
            os.close(pipe)
        self._pipes, self._waits = [], {}
        self._stand_ins.clear()

    def clear(self) -> None:
        """Remove what Open MPI keeps while it runs."""
        processes.end_descendants()
        self._remove_session()

    def _remove_session(self) -> None:
        """Mostly of plain files, for which every node of a run would wait for the import of shutil (8 ms)."""
        with contextlib.suppress(OSError):
            folder = os.open(self.session, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                for name in os.listdir(folder):
                    os.unlink(name, dir_fd=folder)
            finally:
                os.close(folder)
            os.rmdir(self.session)
        if os.path.lexists(self.session):
            import shutil

            shutil.rmtree(self.session, ignore_errors=True)


def lines_of(pipe: int, before: bytes) -> tuple[list[bytes], bytes]:
    """Whole lines that have come through a named pipe, and what has come of the next one.

    :param before: what had come of the first.
    """
    with contextlib.suppress(BlockingIOError):
        before += os.read(pipe, 1 << 16)
    *lines, rest = before.split(b"\n")
    return lines, rest[-select.PIPE_BUF :]  # who writes more at once is none of ours


def content(path: str) -> bytes | None:
    """What a file holds, but none that could keep us waiting; None where it can't be read."""
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with open(file, "rb") as opened:
            if stat.S_ISREG(os.fstat(file).st_mode):
                return opened.read(_MOST)
    return None


def wrong_world(launch: dict[str, Any], one: dict[str, Any], environment: dict[str, str]) -> str | None:
    """What is wrong with the ranks that mpirun has started, their number or their places, if something is."""
    meeting = launch.get("meeting") or {}
    planned = len({other["rank"] for other in (*launch["ranks"], *meeting.get("world", ()))})
    found, node = environment.get("OMPI_COMM_WORLD_SIZE"), meeting.get("node", 0)
    if found != str(planned):
        return "mpirun has made a world of %s ranks, but %d are planned" % (found, planned)
    here, started = len(launch["ranks"]), environment.get("OMPI_COMM_WORLD_LOCAL_SIZE")
    if meeting and started not in (None, str(here)):
        return "mpirun has started %s ranks on node %d, but %d are planned there" % (started, node, here)
    if meeting and one["node"] != node:
        return "mpirun has started rank %d on node %d instead of node %d" % (one["rank"], node, one["node"])
    return None
