"""Processes to be killed: each is forked from one that has imported everything, so that it starts in a millisecond.

python -m tests.faults.victims      one JSON command per line on standard input, the child's pid as the answer
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from airflow_train.lifecycle import submit as submission
from airflow_train.lifecycle import wait
from airflow_train.runtime import protocol
from airflow_train.store.run_store import open_store

#: Longest pause between two looks, seconds: short, so that kills hit looks.
POLL = 0.01


def submit(store_uri: str, run_id: str, definition: dict[str, Any]) -> None:
    """Submit a run and wait for it, as an operator does."""
    submission.submit(open_store(store_uri), definition, run_id=run_id)
    look(store_uri, run_id, definition)


def look(store_uri: str, run_id: str, _: dict[str, Any]) -> None:
    """Wait for a run, which finishes what others left."""
    wait.wait(open_store(store_uri), run_id, poll_interval=POLL)


class Zygote:
    """Starts victims."""

    def __init__(self, cache: Path) -> None:
        command = [sys.executable, "-m", "tests.faults.victims"]
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def start(self, what: str, store_uri: str, run_id: str, definition: dict[str, Any], at: float) -> int:
        """Start `submit` or `look` in a process of its own, at a time of the monotonic clock; returns its pid."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([what, store_uri, run_id, definition, at]).encode() + b"\n")
        stdin.flush()
        return int(stdout.readline())

    def close(self) -> None:
        """End it; victims that live go on."""
        self._process.kill()
        self._process.communicate()


def kill(pid: int) -> bool:
    """`kill -9`; False when the process had ended."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    while protocol.start_time(pid) is not None:
        time.sleep(0.0005)
    return True


def main() -> None:
    """Fork a child for every command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for victims
    for line in sys.stdin:
        what, store_uri, run_id, definition, at = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            while time.monotonic() < at:
                pass
            {"submit": submit, "look": look}[what](store_uri, run_id, definition)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
