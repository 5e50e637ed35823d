"""What node 0 has started on another node, mpirun's daemon, each in a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal

from airflow_train.runtime import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: How many commands may run at a time, and may be started in all; mpirun needs one.
AT_A_TIME = 4
IN_ALL = 32
_CHUNK = 1 << 16


class Started:
    """Commands that node 0 has had started here."""

    def __init__(self, tell: Any) -> None:
        self._tell = tell
        self._environment: dict[str, str] | None = None
        self._count = 0
        self._early: list[tuple[int, str]] = []
        #: number → (pid, {descriptor of its output: stream})
        self._running: dict[int, tuple[int, dict[int, int]]] = {}
        self._wakeup, wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(wakeup, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup)
        processes.adopt_orphans()

    def allow(self, environment: dict[str, str]) -> None:
        """The supervisor is ready for what is started; until then it waits."""
        self._environment = environment
        for number, command in self._early:
            self.start(number, command)
        self._early.clear()

    def start(self, number: int, command: str) -> None:
        """Start a command, in a session of its own, unless there are too many."""
        if self._environment is None and len(self._early) < AT_A_TIME:
            self._early.append((number, command))
        elif self._environment is None or len(self._running) >= AT_A_TIME or self._count >= IN_ALL:
            self._tell({"ended": number, "status": 255})
        else:
            self._count += 1
            try:
                self._running[number] = _spawn(command, self._environment)
            except OSError as error:  # it isn't node 0 that is in the way
                words = "no process can be started: %s\n" % error.strerror
                self._tell({"output": number, "text": words, "stream": 2})
                self._tell({"ended": number, "status": 255})

    def end(self, number: int) -> None:
        """KILL a command with everything below it."""
        if number in self._running:
            pid, _ = self._running[number]
            below = [one for one, _ in processes.tree(pid)]
            processes.end_group(pid)
            for one in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)

    def idle(self) -> bool:
        """Has everything ended that was started, daemons too?"""
        return not processes.descendants(os.getpid())

    def sources(self) -> list[int]:
        return [self._wakeup, *(one for _, streams in self._running.values() for one in streams)]

    def attend(self, found: set[int]) -> None:
        """Pass output on, and ends."""
        for number, (_, streams) in self._running.items():
            for descriptor in found.intersection(streams):
                self._pass_on(number, descriptor, streams)
        if self._wakeup in found:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wakeup, 4096)
            self._reap()

    def _pass_on(self, number: int, descriptor: int, streams: dict[int, int]) -> bool:
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            os.close(descriptor)
            del streams[descriptor]
            return False
        text = data.decode("utf-8", "surrogateescape")
        self._tell({"output": number, "text": text, "stream": streams[descriptor]})
        return True

    def _reap(self) -> None:
        for number, (pid, streams) in list(self._running.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                for descriptor in list(streams):
                    while self._pass_on(number, descriptor, streams):
                        pass  # what it wrote last; others may hold its output open
                for descriptor in streams:
                    os.close(descriptor)
                del self._running[number]
                signaled = os.WIFSIGNALED(status)
                code = 128 + os.WTERMSIG(status) if signaled else os.WEXITSTATUS(status)
                self._tell({"ended": number, "status": code})
        processes.reap_others({pid for pid, _ in self._running.values()})


def _spawn(command: str, environment: dict[str, str]) -> tuple[int, dict[int, int]]:
    """:raises OSError: there are too many processes or descriptors."""
    parent = os.getpid()
    pipes: list[int] = []
    try:
        pipes += os.pipe()
        pipes += os.pipe()
        pid = os.fork()
    except OSError:
        for descriptor in pipes:
            os.close(descriptor)
        raise
    out, out_write, errors, errors_write = pipes
    if pid == 0:
        try:
            os.setsid()
            processes.die_with_parent(parent)
            signal.set_wakeup_fd(-1)
            for name in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD):
                signal.signal(name, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out_write, 1)
            os.dup2(errors_write, 2)
            os.execve("/bin/sh", ["sh", "-c", command], environment)
        except BaseException as error:  # noqa: BLE001 - whatever it is, this process must not go on
            os.write(2, ("/bin/sh: %s\n" % error).encode("utf-8", "replace"))
        os._exit(127)
    for descriptor in (out_write, errors_write):
        os.close(descriptor)
    for descriptor in (out, errors):
        os.set_blocking(descriptor, False)
    return pid, {out: 1, errors: 2}
