"""Ranks whose wrappers `mpirun` starts, and the supervisor speaks to through a socket.

mpirun only starts them and lets them find each other. A wrapper stays until every rank has ended, so that mpirun never
sees a failure and kills nobody: who is stopped when, and how long it may take, is the supervisor's to say.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time

from airflow_train.runtime import cgroups, exits, handed, mpi_environment, open_mpi, processes, protocol
from airflow_train.runtime.ranks import NodeRanks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn

#: Seconds that mpirun has to end when all its ranks have; then it is killed.
PATIENCE = 2.0
#: Seconds within which a killed mpirun can be waited for when a rank has ended of its death.
KILLED_WITHIN = 0.05
#: What people are told when mpirun does nothing any more though it lives.
STOPPED = "mpirun (process %d) was stopped by a signal, and ranks that end wait for it; `kill -CONT %d` lets it go on"


class WrapperRanks(NodeRanks):
    """Ranks whose wrappers an mpirun starts, maybe that of another node."""

    def __init__(self, launch: dict[str, Any]) -> None:
        super().__init__(launch)
        #: Where Open MPI keeps its files; where the mpirun is another node's, that one says it.
        self.session = ""
        self._listener: socket.socket | None = None
        self._left: dict[int, dict[str, Any]] = {}
        self._planned: frozenset[int] = frozenset()
        self._wrappers: dict[int, socket.socket] = {}
        self._said = b""

    def start(self, ports: list[int], place: cgroups.Place | None) -> None:
        """Let wrappers come."""
        super().start(ports, place)
        if os.path.lexists(self.session):
            self._remove_session()
        os.mkdir(self.session, 0o700)
        self._address = os.path.join(self.session, "control")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._address)
        self._listener.listen(len(self.launch["ranks"]))
        self._listener.settimeout(0)
        self._ports = ports
        self._left = {one["rank"]: one for one in self.launch["ranks"]}
        self._planned = frozenset(self._left)

    def environment(self, launchers: list[int]) -> dict[str, str]:
        """What mpirun or its daemon shall see, for itself and for the wrappers.

        :param launchers: processes that inherit the wrappers when mpirun or its daemon dies.
        """
        interface = self.launch.get("interface") or ""
        told: dict[str, Any] = {
            "node": (self.launch.get("meeting") or {}).get("node", 0),
            "socket": self._address,
            "heirs": [os.getpid(), *launchers],
            "ports": self._ports,
            "addresses": self.launch.get("addresses"),
            "place": self.place,
            "interface": interface,
        }
        environment = {k: v for k, v in os.environ.items() if not k.startswith(protocol.WITHHELD_PREFIXES)}
        environment = mpi_environment.for_mpirun(environment)
        if interface:
            environment.update(mpi_environment.daemons(interface))
        environment[protocol.RUN_ID] = self.launch["run_id"]
        environment[protocol.MPI] = json.dumps(told)
        return environment

    def left(self) -> list[dict[str, Any]]:
        return list(self._left.values())

    def sources(self) -> list[int]:
        listener = [] if self._listener is None else [self._listener.fileno()]
        return listener + [self._wrappers[number].fileno() for number in self._here()]

    def tell(self, command: bytes) -> None:
        self._said += command  # for those that mpirun is about to start
        for connection in self._wrappers.values():
            with contextlib.suppress(OSError):
                connection.sendall(command)

    def ended(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        self._accept()
        ended = []
        for number in self._here():
            if select.select([self._wrappers[number]], [], [], 0)[0]:  # its last word, or its death
                with contextlib.suppress(OSError):
                    self._wrappers[number].recv(64)
                one = self._left.pop(number)
                ended.append((one, exits.of_wrapper(self.launch, one, self.started, 0, self.place)))
        if self._said and not self._here():
            self._drop_absent()
        return ended

    def _drop_absent(self) -> None:
        """Who hasn't come by now shall not start any more."""
        for number in set(self._left).difference(self._wrappers):
            del self._left[number]

    def _here(self) -> list[int]:
        """Ranks that mpirun has started and that haven't ended."""
        return [number for number in self._left if number in self._wrappers]

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(1.0)
                with contextlib.suppress(OSError, ValueError):
                    number = _first_line(connection)
                    handed.pass_on(self.launch, connection)
                    connection.sendall(self._said)
                    self._wrappers[number] = connection
                    if number not in self._left and number not in self._planned:  # it says where it should be
                        elsewhere = (self.launch.get("meeting") or {}).get("world", ())
                        self._left.update({one["rank"]: one for one in elsewhere if one["rank"] == number})

    def let_go(self) -> None:
        """Let the wrappers end."""
        for connection in self._wrappers.values():
            connection.close()
        if self._listener is not None:
            self._listener.close()

    def clear(self) -> None:
        """Remove what Open MPI keeps while it runs."""
        processes.end_descendants()
        self._remove_session()

    def _remove_session(self) -> None:
        import shutil  # not before the ranks run: they wait for this process's imports

        shutil.rmtree(self.session, ignore_errors=True)


class MpirunRanks(WrapperRanks):
    """The same with an mpirun of this node."""

    def __init__(self, launch: dict[str, Any]) -> None:
        super().__init__(launch)
        self.session = session_folder(launch["run_folder"], len(launch["ranks"]))
        #: Puts into the session folder what mpirun needs; gives placeholders of its command line and their values.
        self.prepare: Callable[[], dict[str, str]] = dict
        #: Do ranks on other nodes need this mpirun still?
        self.needed = False
        self._pid: int | None = None
        self._all_well = True
        self._stopped = False
        self._said_before = 0

    def start(self, ports: list[int], place: cgroups.Place | None) -> None:
        """Start mpirun, which starts every rank."""
        super().start(ports, place)
        found = {protocol.SESSION_PLACEHOLDER: self.session, **self.prepare()}
        argv = open_mpi.command(self.launch["mpirun"], found)
        environment, parent = self.environment([]), os.getpid()
        self._said_before = _length_of_log()
        self._pid = os.fork()
        if self._pid == 0:
            _become_mpirun(argv, environment, self.launch["work_folder"], parent)

    def cut_off(self, record: dict[str, Any]) -> bool:
        """Open MPI 5 ends ranks that lose another one at once, by this code; scripts that mean it lose a second."""
        return bool(record["code"] == protocol.MPI_ERR_UNKNOWN)

    def news(self) -> list[str]:
        """One sentence when mpirun was stopped, as by SIGSTOP: ranks that end wait for it."""
        before, self._stopped = self._stopped, self._pid is not None and processes.stopped(self._pid)
        return [STOPPED % (self._pid, self._pid)] if self._stopped and not before else []

    def children(self) -> set[int]:
        return set() if self._pid is None else {self._pid}

    def ended(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        end = self._end_of_mpirun()
        self._accept()
        running = len(self._here())
        ended = super().ended()
        if not end and any(exit_record["code"] != 0 for _, exit_record in ended) and self._was_killed():
            end = self._end_of_mpirun()  # ranks that lose it while they start say no more than code 1
        if end:
            self._drop_absent()
        self._all_well = self._all_well and all(exit_record["code"] == 0 for _, exit_record in ended)
        if end and (self._left or self.needed or not self._all_well):
            counts = (len(self._wrappers), len(self.launch["ranks"]), running)
            self.lost = end + " with %d of %d ranks started and %d running" % counts + self._last_words()
        return ended

    def _drop_absent(self) -> None:
        if set(self._left).difference(self._wrappers):
            self._all_well = False
        super()._drop_absent()

    def _was_killed(self) -> bool:
        """Has a signal ended mpirun? Its sockets close, which ranks notice, a moment before it can be waited for."""
        deadline = time.monotonic() + KILLED_WITHIN
        while self._pid is not None and hasattr(os, "waitid"):  # macOS has none
            found = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is not None:
                return found.si_code != os.CLD_EXITED
            if time.monotonic() > deadline:
                break
            time.sleep(0.005)
        return False

    def _end_of_mpirun(self) -> str:
        found, status = (0, 0) if self._pid is None else os.waitpid(self._pid, os.WNOHANG)
        if not found:
            return ""
        how = (
            "was ended by signal %d" % os.WTERMSIG(status)
            if os.WIFSIGNALED(status)
            else "exited with code %d" % os.WEXITSTATUS(status)
        )
        self._pid, self.killed = None, os.WIFSIGNALED(status)
        return "mpirun (process %d) %s" % (found, how)

    def _last_words(self) -> str:
        """The first that mpirun said, which tells why: what follows are its consequences."""
        said = [line.strip() for line in _log_from(self._said_before)]
        words = [line for line in said if line.strip("-")]
        return (": " + " ".join(words[:4]))[:400].rstrip(".") if words else ""

    def let_go(self) -> None:
        """Let the wrappers and mpirun end."""
        if self._pid is not None and not self._all_well:
            os.kill(self._pid, signal.SIGKILL)  # else it blames in many words whoever leaves first now
        super().let_go()
        deadline = time.monotonic() + PATIENCE
        while self._pid is not None and time.monotonic() < deadline:
            if os.waitpid(self._pid, os.WNOHANG)[0]:
                self._pid = None
            else:
                time.sleep(0.005)
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = None


#: What Open MPI 4 shares with a rank's neighbours, and as much again (bytes); containers often have 64 MB in all.
SEGMENT = 8 << 20
#: Of a folder whose sockets have names that the kernel takes: 107 bytes in all (characters).
LONGEST_BASE = 40


def _first_line(connection: socket.socket) -> int:
    """The rank that a wrapper names first; what it says after that stays to be read."""
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(1)
        if not part:
            raise ConnectionError("it has gone")
        line += part
    return int(line)


def _length_of_log() -> int:
    """Bytes in the node's log, where it is a file."""
    with contextlib.suppress(OSError):
        return os.fstat(2).st_size
    return 0


def _log_from(position: int) -> list[str]:
    """Lines of others in the node's log; the supervisor's own begin with the time."""
    with contextlib.suppress(OSError), open("/proc/self/fd/2", encoding="utf-8", errors="replace") as log:
        log.seek(position)
        return [line for line in log.read(1 << 16).splitlines() if not line[:4].isdigit()]
    return []


def session_folder(run_folder: str, ranks: int) -> str:
    """Where Open MPI keeps its files for one run: in memory where that can be had, by a name short enough for sockets.

    Whoever looks for what a dead supervisor left finds the same name.
    """
    import hashlib  # only where mpirun is

    base = "/dev/shm"  # noqa: S108
    if not os.access(base, os.W_OK | os.X_OK) or _size(base) < ranks * SEGMENT:
        import tempfile  # all ranks wait for these imports

        base = tempfile.gettempdir()
    if len(base) > LONGEST_BASE:
        base = "/tmp"  # noqa: S108
    name = hashlib.sha256(run_folder.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return os.path.join(base, "airflow-train-" + name)


def _size(folder: str) -> int:
    """Bytes of a file system, used or free, so that it doesn't change."""
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize


def _become_mpirun(argv: list[str], environment: dict[str, str], work: str, parent: int) -> NoReturn:
    """In the forked child: turn into mpirun; its words go to the node's log."""
    try:
        os.setsid()
        processes.die_with_parent(parent)
        signal.set_wakeup_fd(-1)
        for name in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(name, signal.SIG_DFL)
        os.chdir(work)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # called by an absolute path, Open MPI 4 would put its own folders first in the ranks' PATH
        os.execve(argv[0], ["mpirun", *argv[1:]], environment)
    except BaseException as error:  # noqa: BLE001 - whatever it is, this process must not go on
        os.write(2, ("%s: %s\n" % (argv[0], error)).encode("utf-8", "replace"))
    os._exit(127)
