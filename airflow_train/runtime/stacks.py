"""Asking the processes of ranks for their Python stacks.

Only processes that are ready for it are asked (`script/on_start/sitecustomize.py`): the kernel says that they catch the
signal, and a file says that it is by our handler. The others are told by what the kernel knows of them.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_train.runtime import processes, protocol, records

if TYPE_CHECKING:
    from airflow_train.runtime.redaction import Redactor

#: Seconds that all processes together have for an answer.
PATIENCE = 2.0
#: An answer is whole when nothing has come for so long (seconds).
QUIET = 0.1
#: Processes of one rank that are asked.
MOST = 8

_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting for a disk or another device",
    "T": "stopped by a signal",
    "t": "stopped by a debugger",
}


class Asked(NamedTuple):
    """One process of a rank, and what came of asking it; `words` is a line about it."""

    pid: int
    words: str
    #: What it answered, line by line; empty when it can't answer.
    answer: list[str]


class _Process(NamedTuple):
    pid: int
    parent: int
    #: File that it answers into; empty when it isn't known to be ready.
    file: str
    #: It was forked by a process that has registered, and answers into that one's file.
    inherited: bool


def ask(launch: dict[str, Any], ranks: list[dict[str, Any]], hide: Redactor | None) -> dict[int, list[Asked]]:
    """The processes of these ranks with their stacks, parents first.

    :param hide: hides secrets in their command lines, which are shown in part.
    """
    number = protocol.STACKS_SIGNAL
    found = {one["rank"]: _processes(launch, one["rank"]) for one in ranks}
    words = {one.pid: _words(one.pid, hide) for below in found.values() for one in below}
    positions: dict[int, int] = {}
    everybody = [process for below in found.values() for process in below]
    ready = [process for process in everybody if process.file and _catches(process.pid, number)]
    for process in ready:
        if not process.inherited:
            positions[process.pid] = _size(process.file)
            _signal(process.pid, number)
    own = [process for process in ready if not process.inherited]
    deadline = time.monotonic() + PATIENCE
    _await(own, positions, deadline)
    answers = {process.pid: _read(process.file, positions[process.pid]) for process in own}
    for process in ready:  # one after the other, as they share a file
        if process.inherited and time.monotonic() < deadline:
            positions[process.pid] = _size(process.file)
            _signal(process.pid, number)
            _await([process], positions, min(deadline, time.monotonic() + 5 * QUIET))
            answers[process.pid] = _read(process.file, positions[process.pid])
    return {
        rank: [
            Asked(one.pid, words[one.pid] + _why(one.pid, answers), answers.get(one.pid, [])) for one in below
        ]
        for rank, below in found.items()
    }


def _processes(launch: dict[str, Any], rank: int) -> list[_Process]:
    """The processes of a rank, parents first."""
    start = records.read(os.path.join(launch["run_folder"], protocol.rank_folder(rank), "start.json"))
    if start is None:
        return []
    folder = os.path.join(launch["stacks_folder"], str(rank))
    known: dict[int, _Process] = {}
    for pid, parent in processes.tree(int(start["wrapper"]["pid"]))[:MOST]:
        file = os.path.join(folder, "%d-%s.txt" % (pid, protocol.start_time(pid)))
        if _executable(pid) and _first_line(file) == _executable(pid):
            known[pid] = _Process(pid, parent, file, inherited=False)
        elif parent in known and known[parent].file and _executable(pid) == _executable(parent):
            known[pid] = _Process(pid, parent, known[parent].file, inherited=True)
        else:
            known[pid] = _Process(pid, parent, "", inherited=False)
    return list(known.values())


def _executable(pid: int) -> str:
    try:
        return os.readlink("/proc/%d/exe" % pid)
    except OSError:
        return ""


def _catches(pid: int, number: int) -> bool:
    """Does the process have a handler for that signal? One without would be killed by it."""
    try:
        with open("/proc/%d/status" % pid) as file:
            caught = next(line for line in file if line.startswith("SigCgt:"))
    except (OSError, StopIteration):
        return False
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def _await(asked: list[_Process], positions: dict[int, int], deadline: float) -> None:
    """Wait until all have answered and nothing more comes."""
    sizes, changed = [-1], time.monotonic()
    while time.monotonic() < deadline:
        now = [_size(one.file) for one in asked]
        if now != sizes:
            sizes, changed = now, time.monotonic()
        answered = all(size > positions[one.pid] for size, one in zip(sizes, asked))
        if answered and time.monotonic() - changed > QUIET:
            return
        time.sleep(QUIET / 5)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.readline().rstrip("\n")
    except OSError:
        return ""


def _read(path: str, position: int) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.seek(position)
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _words(pid: int, hide: Redactor | None) -> str:
    """What the kernel knows of a process."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            name = file.read().replace(b"\0", b" ").decode("utf-8", "replace")
        with open("/proc/%d/stat" % pid, "rb") as file:
            letter = file.read().rpartition(b")")[2].split()[0].decode()
    except OSError:
        return "process %d has ended" % pid
    name = " ".join((name if hide is None else hide.text(name)).split())[:200]
    state = _STATES.get(letter, letter)
    with contextlib.suppress(OSError), open("/proc/%d/wchan" % pid) as file:
        place = file.read().strip()
        state += " in %s of the kernel" % place if place not in ("", "0") else ""
    return "process %d (%s) is %s" % (pid, name, state)


def _why(pid: int, answers: dict[int, list[str]]) -> str:
    """Why a process shows no stack."""
    if answers.get(pid):
        return ""
    return ", and did not answer" if pid in answers else ", and no Python that could be asked for its stack"
