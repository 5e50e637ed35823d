"""Processes of one machine: who descends from whom, and an end for all of them.

Linux keeps orphans of a subreaper below it, so nothing that a script started can get out of sight, however often it
forked. macOS has neither subreapers nor /proc: there a script's process group is all that can be ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
#: Loaded once, before any fork: a child between fork and exec must not take the loader's locks.
_libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


def adopt_orphans() -> None:
    """Let descendants whose parent dies become children of this process."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have this process get a signal when its parent ends; `parent` tells whether that has happened already."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(signal.SIGKILL + 128)


def descendants(root: int) -> list[int]:
    """Every living process below `root`, zombies left out."""
    return [pid for pid, _ in tree(root)]


def tree(root: int) -> list[tuple[int, int]]:
    """Every living process below `root` with its parent, parents first, zombies left out."""
    return below(root, children())


def children() -> dict[int, list[int]]:
    """Process id → its living children, of everything that runs; zombies left out."""
    found: dict[int, list[int]] = {}
    for pid, state, parent in _table():
        if state not in (b"Z", b"X"):
            found.setdefault(parent, []).append(pid)
    return found


def below(root: int, children: dict[int, list[int]]) -> list[tuple[int, int]]:
    """What `tree` says, by a table that was read before."""
    found: list[tuple[int, int]] = []
    ahead = [root]
    while ahead:
        parent = ahead.pop(0)
        here = children.get(parent, [])
        found += [(pid, parent) for pid in here]
        ahead += here
    return found


def _table() -> list[tuple[int, bytes, int]]:
    """Process id, state and parent of everything that runs; empty where there is no /proc."""
    rows = []
    for name in os.listdir("/proc") if _libc is not None else []:
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            rows.append((int(name), fields[0], int(fields[1])))
    return rows


def parent(pid: int) -> int | None:
    """Parent of a process; None where it is gone, or there is no /proc."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return None


def stopped(pid: int) -> bool:
    """Was a process stopped by a signal, such as SIGSTOP?"""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"T"
    except OSError:
        return False


def kill_descendants(spare: set[int] | None = None) -> list[int]:
    """KILL everything that lives below this process now, but `spare`, and reap nothing; returns the pids."""
    living = [pid for pid in descendants(os.getpid()) if not spare or pid not in spare]
    for pid in living:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return living


def end_descendants(spare: set[int] | None = None, patience: float = 5.0) -> list[int]:
    """KILL everything below this process but `spare`, and what that starts meanwhile; returns the pids that were met.

    Callers must be subreapers. `patience` bounds the wait for processes that the kernel holds (seconds).
    """
    if not spare and _childless():
        return []
    met: list[int] = []
    deadline = time.monotonic() + patience
    quiet = 0
    while True:
        living = kill_descendants(spare)
        # one look at /proc can miss a process that forks and ends all the time: two must find nothing
        quiet = 0 if living else quiet + 1
        if quiet == 2 or time.monotonic() > deadline:
            return met
        met += [pid for pid in living if pid not in met]
        time.sleep(0.005)
        reap_others(spare or set())


def _childless() -> bool:
    """Does a subreaper have no child at all? Then nothing lives below it, as orphans would be its children."""
    if _libc is None:
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def end_group(leader: int) -> None:
    """KILL a process group at once, whatever its members fork meanwhile; its leader must not have been reaped."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def reap_others(spare: set[int]) -> None:
    """Collect ended children that nobody else waits for; those in `spare` have somebody, who comes soon."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13, where no orphans come to us anyway
        return
    with contextlib.suppress(ChildProcessError):
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid in spare:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)
