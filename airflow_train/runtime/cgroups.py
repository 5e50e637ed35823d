"""Memory limits by control groups (cgroups) of version 1 and 2.

A run that has a limit gets a tree of its own, next to what its supervisor runs in:

    airflow-train-RUN/node_0           the limit: `memory` counts for a node, as it does for a container
    airflow-train-RUN/node_0/rank_3    the script of a rank and whatever it starts. No limit of its own: the kernel
                                       counts here what it killed, so the rank is known, whichever process that was

`Place` is what the supervisor tells others, as plain data: {"folder", "version", "limit_bytes"}.

Facts: docs.kernel.org/admin-guide/cgroup-v1/memory.html and …/cgroup-v2.html (no internal processes, delegation).
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator

    Place = Dict[str, Any]


class NotHeld(Exception):
    """Why no limit can be held here, as half a sentence."""


class _Version1:
    """One hierarchy for memory alone; limits can be set in any group."""

    @staticmethod
    def base(own: str, _: str) -> str:
        return own

    @staticmethod
    def hand_on(folder: str) -> None:
        with contextlib.suppress(OSError):  # the only way there is since Linux 5.11
            _write(folder, "memory.use_hierarchy", "1")

    @staticmethod
    def limit(folder: str, size: int) -> None:
        _write(folder, "memory.limit_in_bytes", str(size))
        try:
            _write(folder, "memory.memsw.limit_in_bytes", str(size))  # memory and swap together
        except OSError:  # the kernel doesn't count swap
            with contextlib.suppress(OSError):
                _write(folder, "memory.swappiness", "0")

    @staticmethod
    def kills(folder: str) -> int:
        return _named(folder, "memory.oom_control", "oom_kill")

    @staticmethod
    def reached(folder: str, limit: int) -> bool:
        # nobody is killed for more than 8 pages at once; failcnt stays 0 where memory and swap have one limit
        return (_Version1.peak(folder) or 0) + 16 * os.sysconf("SC_PAGESIZE") > limit

    @staticmethod
    def peak(folder: str) -> int | None:
        return _number(folder, "memory.max_usage_in_bytes")


class _Version2:
    """One hierarchy for all; a group hands the controller on to those below it, and then holds no process itself."""

    @staticmethod
    def base(own: str, top: str) -> str:
        """The nearest group above that hands memory on, unless that means to slip out of a limit."""
        group = own
        while "memory" not in _read(group, "cgroup.subtree_control").split():
            if _read(group, "memory.max").strip() not in ("", "max"):
                raise NotHeld("%s has a memory limit and can't be divided" % group)
            if group == top:
                raise NotHeld("no group from %s upwards hands memory on (cgroup.subtree_control)" % own)
            group = os.path.dirname(group)
        return group

    @staticmethod
    def hand_on(folder: str) -> None:
        _write(folder, "cgroup.subtree_control", "+memory")

    @staticmethod
    def limit(folder: str, size: int) -> None:
        _write(folder, "memory.max", str(size))
        with contextlib.suppress(OSError):  # the kernel doesn't count swap
            _write(folder, "memory.swap.max", "0")

    @staticmethod
    def kills(folder: str) -> int:
        return _named(folder, "memory.events", "oom_kill")

    @staticmethod
    def reached(folder: str, _: int) -> bool:
        return _named(folder, "memory.events", "oom") > 0

    @staticmethod
    def peak(folder: str) -> int | None:
        return _number(folder, "memory.peak")  # since Linux 5.19


_FACES: dict[int, Any] = {1: _Version1, 2: _Version2}


def find(name: str | None, limit: int, proc: str = "/proc/self") -> Place:
    """Where the group `name` of this process's own can be; without a name its own group, which somebody else limits.

    :raises NotHeld: nowhere.
    """
    own = _own_groups(proc)
    for version, kind in ((1, "cgroup"), (2, "cgroup2")):
        for root, top in _mounts(proc, kind):
            below = _below(own.get(version), root)
            group = None if below is None else os.path.normpath(os.path.join(top, below))
            if (
                group
                and os.path.isdir(group)
                and (version == 1 or "memory" in _read(top, "cgroup.controllers").split())
            ):
                if name is None:
                    return {"folder": group, "version": version, "limit_bytes": limit, "whole": True}
                base = _FACES[version].base(group, top)
                if not os.access(base, os.W_OK):
                    raise NotHeld("%s can't be written" % base)
                return {"folder": os.path.join(base, name), "version": version, "limit_bytes": limit}
    raise NotHeld("no memory cgroups are mounted")


def _own_groups(proc: str) -> dict[int, str]:
    """Version → the group of this process, for those that know of memory."""
    found = {}
    for line in _read(proc, "cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            found[1] = path
        elif number == "0" and not controllers:
            found[2] = path
    return found


def _mounts(proc: str, kind: str) -> Iterator[tuple[str, str]]:
    """(group, folder that shows it) of every mounted hierarchy of that kind that may hold memory."""
    for line in _read(proc, "mountinfo").splitlines():
        mount, _, filesystem = line.partition(" - ")
        found, _, options = filesystem.split(" ", 2)
        if found == kind and (kind == "cgroup2" or "memory" in options.split(",")):
            root, top = mount.split()[3:5]
            yield _unescaped(root), _unescaped(top)


def _unescaped(path: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path


def _below(group: str | None, root: str) -> str | None:
    """A group relative to what a mount shows; None when it isn't shown."""
    if group is None or not (group + "/").startswith(root.rstrip("/") + "/"):
        return None
    return group[len(root.rstrip("/")) :].lstrip("/")


# ---------------------------------------------------------------------- the groups of a run


def rank_folder(place: Place, rank: dict[str, Any]) -> str:
    """The group of a rank; that of all ranks where a container has one for all."""
    if place.get("whole"):
        return str(place["folder"])
    return os.path.join(place["folder"], "node_%d" % rank["node"], "rank_%d" % rank["rank"])


def group_of(place: Place, rank: dict[str, Any]) -> str | None:
    """The group that a rank has to enter; None where it is in the only one already."""
    return None if place.get("whole") else rank_folder(place, rank)


def make(place: Place, ranks: list[dict[str, Any]]) -> None:
    """Make the groups of a run, and make sure that a process can enter them; nothing stays when that fails.

    :raises NotHeld: it can't be done.
    """
    face = _FACES[place["version"]]
    try:
        os.mkdir(place["folder"])
        face.hand_on(place["folder"])
        for one in ranks:
            folder = rank_folder(place, one)
            node = os.path.dirname(folder)
            if not os.path.isdir(node):
                os.mkdir(node)
                face.limit(node, place["limit_bytes"])
                face.hand_on(node)
            os.mkdir(folder)
        _try_to_enter(rank_folder(place, ranks[0]))
    except OSError as error:
        remove(place)
        raise NotHeld("%s: %s" % (error.filename or place["folder"], error.strerror)) from error


def _try_to_enter(folder: str) -> None:
    """Whoever may make groups may still not move processes into them."""
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            _write(folder, "cgroup.procs", "0")
        except OSError as error:
            code = error.errno or errno.EIO
        os._exit(code)
    status = os.waitpid(pid, 0)[1]
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else errno.ENOMEM  # too small for as much as a fork
    if code not in (0, errno.ENOMEM):
        raise OSError(code, os.strerror(code), os.path.join(folder, "cgroup.procs"))


def enter(folder: str) -> None:
    """Put this process into a group, and so everything that it starts.

    :raises NotHeld: it can't be done, though it could when the group was made.
    """
    try:
        _write(folder, "cgroup.procs", "0")
    except OSError as error:
        raise NotHeld("its memory limit can't be held, %s: %s" % (folder, error.strerror)) from error


def go_first() -> None:
    """Let the kernel, where memory is wanting, rather kill this process and what it starts than whoever watches over
    it, of whatever size: those have to say what happened."""
    with contextlib.suppress(OSError, ValueError):  # other systems have nothing of the kind
        folder, name = "/proc/self", "oom_score_adj"
        _write(folder, name, str(min(1000, int(_read(folder, name)) + 500)))


def facts(place: Place, rank: dict[str, Any]) -> dict[str, Any]:
    """`memory` of an exit record: what the kernel counted for a rank."""
    face, folder = _FACES[place["version"]], rank_folder(place, rank)
    node = folder if place.get("whole") else os.path.dirname(folder)
    return {
        "limit_bytes": place["limit_bytes"],
        "peak_bytes": face.peak(folder),
        "oom_kills": face.kills(folder),
        "at_limit": face.reached(node, place["limit_bytes"]),
    }


def peaks(place: Place, node: int) -> dict[str, int | None]:
    """Node → the most memory that it held at once, in bytes; None where the kernel is too old to tell.

    :param node: whose container it is, where a container's own group is asked.
    """
    face = _FACES[place["version"]]
    if place.get("whole"):
        return {str(node): face.peak(place["folder"])}
    _, nodes, _ = next(os.walk(place["folder"]), ("", [], []))
    return {name[len("node_") :]: face.peak(os.path.join(place["folder"], name)) for name in sorted(nodes)}


def remove(place: Place, patience: float = 5.0) -> None:
    """KILL whatever lives in the groups of a run, and remove them. Harmless when they are gone.

    :param patience: seconds that the kernel has to let processes go.
    """
    deadline = time.monotonic() + patience
    for folder, _, _ in os.walk(place["folder"], topdown=False):
        while True:
            _kill_all(folder)
            try:
                os.rmdir(folder)
                break
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    break
            time.sleep(0.005)


def _kill_all(folder: str) -> None:
    for word in _read(folder, "cgroup.procs").split():
        if word != "0":  # lives in a pid namespace that can't be seen from here
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(word), signal.SIGKILL)


# ---------------------------------------------------------------------- files of the kernel


def _write(folder: str, name: str, text: str) -> None:
    descriptor = os.open(os.path.join(folder, name), os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _read(folder: str, name: str) -> str:
    """A file's text; empty where there is none."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _number(folder: str, name: str) -> int | None:
    text = _read(folder, name).strip()
    return int(text) if text.isdigit() else None


def _named(folder: str, name: str, key: str) -> int:
    """A number of a file of `name number` lines; 0 where it isn't there."""
    for line in _read(folder, name).splitlines():
        word, _, number = line.partition(" ")
        if word == key and number.isdigit():
            return int(number)
    return 0
