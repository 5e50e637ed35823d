"""Starting the supervisor, and finding what a dead one left. All process work of the local target."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

from airflow_train.exceptions import InfrastructureFailure
from airflow_train.runtime import protocol

#: Seconds that ranks have to end by themselves when their supervisor was killed.
LAST_WORDS = 3.0
#: A variable of the submitter that is a secret of so many characters, or holds one of so many, is only for ranks.
_TELLING, _TELLING_WITHIN = 5, 8


def start(
    argv: Sequence[str], log: Path, limit: float | None = None, secrets: Mapping[str, str] | None = None
) -> None:
    """Start a supervisor, which detaches itself at once; its words go to `log`.

    :param limit: seconds that this may take.
    :param secrets: what only its ranks may have in their environment.
    :raises InfrastructureFailure: it can't be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as words:
            code = _call(argv, words, limit, secrets or {})
    except subprocess.TimeoutExpired as error:
        raise InfrastructureFailure(
            f"the supervisor {argv[0]} did not begin within {limit:g} s; look at this machine, or raise "
            "[train] start_limit."
        ) from error
    except OSError as error:
        raise InfrastructureFailure(
            f"the supervisor {argv[0]} could not be started: {error.strerror}."
        ) from error
    if code:
        raise InfrastructureFailure(f"the supervisor ended at once with code {code}: {_last_line(log)}")


def _call(argv: Sequence[str], words: BinaryIO, limit: float | None, secrets: Mapping[str, str]) -> int:
    # any process of this user can read the supervisor's environment, the script too
    environment = {k: v for k, v in os.environ.items() if not k.startswith(protocol.WITHHELD_PREFIXES)}
    inherited = {
        name: value
        for name, value in environment.items()
        if name in secrets or any(_tells(value, secret) for secret in secrets.values())
    }
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE if secrets else subprocess.DEVNULL,
        stdout=words,
        stderr=words,
        cwd="/",
        env={name: value for name, value in environment.items() if name not in inherited},
        start_new_session=True,
    )
    if process.stdin is not None:
        _hand_over(process.stdin, protocol.packed(dict(secrets), inherited), limit)
    left = limit
    if limit is not None and hasattr(os, "pidfd_open"):  # `wait` with a limit dozes for up to 50 ms
        descriptor = os.pidfd_open(process.pid)
        select.select([descriptor], [], [], limit)
        os.close(descriptor)
        left = 0
    try:
        return process.wait(left)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def _tells(value: str, secret: str) -> bool:
    return (value == secret and len(secret) >= _TELLING) or (
        len(secret) >= _TELLING_WITHIN and secret in value
    )


def _hand_over(pipe: IO[bytes], data: bytes, limit: float | None) -> None:
    """Write all to a supervisor, as long as it reads: one that finds the run claimed doesn't."""
    deadline = None if limit is None else time.monotonic() + limit
    os.set_blocking(pipe.fileno(), False)
    with contextlib.suppress(BrokenPipeError, BlockingIOError), pipe:
        while data:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([], [pipe], [], left)[1]:
                return  # what it has got isn't whole, so that it starts nothing
            data = data[os.write(pipe.fileno(), data) :]


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it said nothing in {log}."


def collect(
    argv: Sequence[str], log: Path, limit: float | None = None, secrets: Mapping[str, str] | None = None
) -> None:
    """Collect in place of a dead supervisor and wait for the end of it.

    :param limit: seconds that this may take.
    :param secrets: as in `start`; without them logs that may show them stay behind.
    :raises InfrastructureFailure: it failed; the working directory is kept.
    """
    try:
        with log.open("ab") as words:
            code = _call(argv, words, limit, secrets or {})
    except subprocess.TimeoutExpired as error:
        raise InfrastructureFailure(
            f"what the run left could not be collected within {limit:g} s; raise [train] collect_limit"
        ) from error
    if code:
        raise InfrastructureFailure(
            f"what the run left could not be collected (code {code}): {_last_line(log)}"
        )


def kill(who: Mapping[str, Any]) -> None:
    """KILL the process of an identity, if it lives on this machine."""
    if who and protocol.alive(dict(who)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(who["pid"]), signal.SIGKILL)


def wait_for_end(processes: Sequence[Mapping[str, Any]]) -> None:
    """Wait until none of these lives, for `LAST_WORDS` at most."""
    deadline = time.monotonic() + LAST_WORDS
    while time.monotonic() < deadline and any(protocol.alive(dict(one)) for one in processes):
        time.sleep(0.02)


def memory_limits() -> str:
    """Where a memory limit would hold for a process started from here, in words."""
    command = [sys.executable, "-m", "airflow_train.runtime.memory"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def end_leftovers(run_id: str, patience: float = 5.0) -> int:
    """KILL every process of this machine that carries the run's id in its environment; returns how many.

    Only needed when supervisor and wrapper were killed together: whoever lives of the two ends the rest itself.
    """
    mark = f"{protocol.RUN_ID}={run_id}".encode()
    ended = 0
    deadline = time.monotonic() + patience
    while found := _carrying(mark):
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended += 1
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return ended


def _carrying(mark: bytes) -> list[int]:
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if mark in file.read().split(b"\0"):
                    found.append(int(name))
    return found
