"""Runs a command, and ends everything that came from it when told to (TERM) or when whoever started this has died.

    python guard.py PID_OF_WHO_STARTS_IT COMMAND...

A script of its own, because pytest may be killed with -9 and Airflow's processes, and the supervisors of runs, which
leave their parents on purpose, must not outlive it. Being their subreaper, this process inherits all of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def main(parent: int, command: list[str]) -> None:
    """Run the command until there is a reason to end it."""
    told: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: told.append("to end"))
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while not told and os.getppid() == parent:
        reap()
        time.sleep(0.1)
    while victims := descendants(os.getpid()):
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
        reap()


def reap() -> None:
    """Take the exit states of children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def descendants(root: int) -> list[int]:
    """Children, their children and so on, those that wait to be reaped included."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            parent = Path("/proc", name, "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(name))
    found, ahead = [], [root]
    while ahead:
        more = children.get(ahead.pop(), [])
        found += more
        ahead += more
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
