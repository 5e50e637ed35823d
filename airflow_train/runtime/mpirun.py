"""Ranks (`launched.py`) of an mpirun that this supervisor has started; it lets them find each other, and no more."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from airflow_train.runtime import open_mpi, processes, protocol
from airflow_train.runtime.launched import LaunchedRanks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn

    from airflow_train.runtime import cgroups

#: Seconds that mpirun has to end when all its ranks have; then it is killed.
PATIENCE = 2.0
#: Seconds within which a killed mpirun can be waited for when a rank has ended of its death.
KILLED_WITHIN = 0.05
#: What people are told when mpirun does nothing any more though it lives.
STOPPED = "mpirun (process %d) was stopped by a signal, and ranks that end wait for it; `kill -CONT %d` lets it go on"


class MpirunRanks(LaunchedRanks):
    """Ranks whose stand-ins an mpirun of this node starts."""

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
        said = [STOPPED % (self._pid, self._pid)] if self._stopped and not before else []
        return super().news() + said

    def children(self) -> set[int]:
        return super().children() | (set() if self._pid is None else {self._pid})

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
            counts = (len(self.came), len(self.launch["ranks"]), running)
            self.lost = end + " with %d of %d ranks started and %d running" % counts + self._last_words()
        return ended

    def _drop_absent(self) -> None:
        if set(self._left) != self._here():
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
        """Let the stand-ins and mpirun end."""
        with contextlib.suppress(ProcessLookupError):  # somebody has ended everything
            if self._pid is not None and not self._all_well:
                os.kill(self._pid, signal.SIGKILL)  # else it blames in many words whoever leaves first now
        super().let_go()
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            while self._pid is not None:
                if os.waitpid(self._pid, os.WNOHANG)[0]:
                    break
                if time.monotonic() > deadline:
                    os.kill(self._pid, signal.SIGKILL)
                time.sleep(0.005)
        self._pid = None


#: What Open MPI 4 shares with a rank's neighbours, and as much again (bytes); containers often have 64 MB in all.
SEGMENT = 8 << 20
#: Of a folder whose sockets have names that the kernel takes: 107 bytes in all (characters).
LONGEST_BASE = 40


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
