"""The wrapper of one rank: starts the script, keeps its output, leaves an exit record, and nothing that outlives it.

The supervisor speaks through a pipe: `T` passes TERM on to the script's main process (and to nothing else: data
loaders and mpirun would kill the checkpoint), `S` does so because the rank has served its purpose, `K` ends everything
at once, and `L` says that the launcher (mpirun) wants this rank to end. When the pipe closes, the supervisor is dead:
the script gets TERM, one second, then KILL. When the wrapper itself is killed, the kernel kills the script.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time

from airflow_train.runtime import cgroups, exits, handed, processes, protocol, records, starting
from airflow_train.runtime.output import RankLog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

#: Seconds that a script has after TERM when its supervisor is dead.
ORPHAN_GRACE = 1.0
#: Seconds that reading goes on after the script's end while something else holds its output open.
DRAIN = 1.0
#: mpirun sends TERM and a second later KILL. A rank that failed by itself has this long to end first (seconds) …
LAUNCHER_PATIENCE = 0.2
#: … and one that didn't this long after its own TERM, so that the record is written before the KILL.
LAUNCHER_GRACE = 0.4
#: Pause after a read, so that many small writes of the script arrive as one piece.
BATCH = 0.004


def run(
    launch: dict[str, Any],
    rank: dict[str, Any],
    control: int,
    ports: list[int],
    place: cgroups.Place | None,
) -> int:
    """Run one rank from start to exit record; returns the wrapper's own exit code (0: the record is written)."""
    processes.adopt_orphans()
    for name in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(name, signal.SIG_IGN)
    wrapper = Wrapper(launch, rank, control, place)
    wrapper.start(ports)
    wrapper.watch()
    while wrapper.may_try_again():
        wrapper.clear_away()
        wrapper.start(ports)
        wrapper.watch()
    wrapper.finish()
    return 0


class Wrapper:
    """State of one rank between start and exit record."""

    def __init__(
        self, launch: dict[str, Any], rank: dict[str, Any], control: int, place: cgroups.Place | None
    ) -> None:
        self.launch, self.rank, self.control, self.place = launch, rank, control, place
        self.folder = os.path.join(launch["run_folder"], protocol.rank_folder(rank["rank"]))
        log = os.path.join(launch["run_folder"], protocol.rank_log(rank["rank"]))
        self.log = RankLog(log, handed.redactor(launch))
        self.started = time.time()
        self.stopped_by: str | None = None
        self.could_not_start: str | None = None
        self.status: int | None = None
        self.usage: Any = None
        #: How often the script was started again, and the processes that it left behind, in all tries.
        self.retries = self.leftovers = 0
        #: Processes that the kernel killed for want of memory in tries before this one.
        self._starved_before = 0
        #: (time of `monotonic`, what is to be done then)
        self._due: list[tuple[float, Callable[[], None]]] = []

    def start(self, ports: list[int]) -> None:
        """Fork the script; `could_not_start` says why when it can't be executed."""
        self.output, write_end = os.pipe()
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(self.output, fcntl.F_SETPIPE_SZ, 1 << 20)  # novermin: guarded
        if not self.retries:
            self._listen()
        failure, failure_write = os.pipe()
        environment = starting.environment(self.launch, self.rank, ports)
        argv = starting.arguments(self.launch["command"], environment)
        group = None if self.place is None else cgroups.group_of(self.place, self.rank)
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            work = self.launch["work_folder"]
            shares = self.place is not None and group is None
            starting.become(argv, environment, work, write_end, failure_write, parent, group, shares)
        os.close(write_end)
        os.close(failure_write)
        records.create(os.path.join(self.folder, "start.json"), self._start_record())
        with os.fdopen(failure, "rb") as pipe:
            self.could_not_start = pipe.read().decode("utf-8", "replace") or None

    def _listen(self) -> None:
        """From now on the end of a child wakes `watch` up."""
        self.wakeup, wakeup_write = os.pipe()
        os.set_blocking(wakeup_write, False)
        signal.set_wakeup_fd(wakeup_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _start_record(self) -> dict[str, Any]:
        return {
            "at": protocol.timestamp(self.started),
            "rank": self.rank["rank"],
            "node": self.rank["node"],
            "wrapper": protocol.identity(),
            "script": protocol.identity(self.pid),
        }

    def watch(self) -> None:
        """Carry output and commands until the script's main process has ended."""
        poller = select.poll()
        for descriptor in (self.output, self.control, self.wakeup):
            poller.register(descriptor, select.POLLIN)
        while self.status is None:
            for descriptor, _ in poller.poll(self._patience()):
                if descriptor == self.output:
                    if self.log.take(self.output):
                        time.sleep(BATCH)
                    else:
                        poller.unregister(self.output)
                elif descriptor == self.wakeup:
                    os.read(self.wakeup, 4096)
                    self._reap()
                elif self._obey() == "lost":
                    poller.unregister(self.control)
                    self._later(ORPHAN_GRACE, self._kill_everything)
            for due in [due for due in self._due if due[0] <= time.monotonic()]:
                self._due.remove(due)
                due[1]()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._due.append((time.monotonic() + seconds, action))

    def _patience(self) -> float | None:
        """Milliseconds until something is due; None when nothing is."""
        soonest = min((at for at, _ in self._due), default=None)
        return None if soonest is None else max(0.0, soonest - time.monotonic()) * 1000

    def _launcher_ends(self) -> None:
        """The launcher (mpirun) wants this rank to end, or is dead: what had failed before may still say so."""
        self._later(LAUNCHER_PATIENCE, self._end_for_launcher)

    def _end_for_launcher(self) -> None:
        if self.status is None:
            self.stopped_by = self.stopped_by or protocol.BY_LAUNCHER
            self._signal(signal.SIGTERM)
            self._later(LAUNCHER_GRACE, self._kill_everything)

    def _obey(self) -> str:
        command = os.read(self.control, 64)
        if not command:
            self.stopped_by = self.stopped_by or protocol.SUPERVISOR_LOST
            self._signal(signal.SIGTERM)
            return "lost"
        if b"L" in command:
            self._launcher_ends()
        if command.strip(b"L") == b"":
            return "obeyed"
        by = protocol.SERVED if b"S" in command else protocol.BY_SUPERVISOR
        self.stopped_by = self.stopped_by or by
        if b"T" in command or b"S" in command:
            self._signal(signal.SIGTERM)
        if b"K" in command:
            self._kill_everything()
        return "obeyed"

    def _signal(self, number: int) -> None:
        if self.status is not None:
            return  # its pid may be somebody else's by now
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
            os.kill(self.pid, signal.SIGCONT)  # a stopped process can't act on TERM

    def _kill_everything(self) -> None:
        if self.status is not None:
            return  # the script is over, and `finish` ends what it left
        self._signal(signal.SIGKILL)
        processes.end_group(self.pid)
        processes.end_descendants(spare={self.pid})
        self._reap(block=True)

    def _reap(self, block: bool = False) -> None:
        """Collect ended children; only the main process decides. Its group ends with it, before its pid is free."""
        if self.status is None:
            with contextlib.suppress(ChildProcessError):
                if hasattr(os, "waitid"):  # macOS before Python 3.13 has none
                    look = os.WEXITED | os.WNOWAIT | (0 if block else os.WNOHANG)
                    if os.waitid(os.P_PID, self.pid, look) is not None:
                        processes.end_group(self.pid)
                pid, status, usage = os.wait4(self.pid, 0 if block else os.WNOHANG)
                if pid:
                    self.status, self.usage = status, usage
        processes.reap_others({self.pid})

    def may_try_again(self) -> bool:
        """Has the script failed in a way that its definition (ParallelTask) wants tried again?"""
        retry = self.launch.get("retry")
        if not retry or self.retries >= retry["times"] or self.could_not_start:
            return False
        while self.stopped_by is None and select.select([self.control], [], [], 0)[0]:
            self._obey()  # a stop that came while the script was ending: nothing may be started after it
        status = self.status or 0
        code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return self.stopped_by is None and code != 0 and code not in retry["terminal_exit_codes"]

    def clear_away(self) -> None:
        """End what the failed try left behind, and forget how it ended."""
        self._end_leftovers()
        os.close(self.output)
        self.retries += 1
        status = self.status or 0
        signaled = os.WIFSIGNALED(status)
        how = "by signal %d" % os.WTERMSIG(status) if signaled else "with code %d" % os.WEXITSTATUS(status)
        if (memory := self._memory(status)) is not None and memory["oom_kills"]:
            how += ", out of memory"
            self._starved_before += memory["oom_kills"]
        times = self.launch["retry"]["times"]
        self.log.begin_again("The worker ended %s; retry %d of %d." % (how, self.retries, times))
        self.status = self.usage = None
        self._due.clear()

    def finish(self) -> None:
        """End what the script left behind, keep the rest of the output, write the exit record."""
        ended = time.time()
        self._end_leftovers()
        self.log.close()
        records.create(exits.path(self.launch, self.rank), self._exit_record(ended))

    def _end_leftovers(self) -> None:
        self.leftovers += len(processes.end_descendants())
        deadline = time.monotonic() + DRAIN
        while time.monotonic() < deadline and select.select([self.output], [], [], DRAIN)[0]:
            if not self.log.take(self.output):
                break

    def _exit_record(self, ended: float) -> dict[str, Any]:
        status = self.status or 0
        failed = status != 0
        return exits.empty(
            self.rank,
            protocol.timestamp(self.started),
            **exits.of_process(status, self.usage),
            could_not_start=self.could_not_start,
            stopped_by=self.stopped_by,
            ended=protocol.timestamp(ended),
            ended_leftovers=self.leftovers,
            retries=self.retries,
            lost_output_bytes=self.log.lost,
            last_lines=self.log.last_lines() if failed else [],
            exception=self.log.traceback(self.launch["work_folder"]) if failed else None,
            memory=self._memory(status if self.stopped_by is None else 0),
        )

    def _memory(self, status: int) -> dict[str, Any] | None:
        """What the kernel counted; of what it killed, that of this try."""
        facts = exits.memory_of(self.launch, self.rank, self.place, status)
        if facts is None:
            return None
        return {**facts, "oom_kills": max(0, facts["oom_kills"] - self._starved_before)}
