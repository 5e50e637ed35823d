"""Outputs and logs of a script on their way into the run's files.

Every step can be taken again after a kill: files move one by one, and what has moved isn't there any more. Nothing that
stands is ever replaced, and nothing outside the working directory is ever moved or removed.
"""

from __future__ import annotations

import errno
import os

from airflow_train.runtime import protocol
from airflow_train.runtime.phases import LimitPassed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator

    Tick = Callable[[str], None]

#: Most bytes of one file that one `LogMirror.sync` copies, so that a runaway log delays nothing else.
PIECE = 32 << 20


class LogMirror:
    """Copies what the script appends to `./logs` into the run's files while the script runs; dot files stay.

    Only positions are kept in memory. A file that shrank or was replaced is copied again from its start. What can't be
    read or written is said once and passed over: logs decide nothing.
    """

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = source, target
        #: path → inode, position, name of the copy
        self._seen: dict[str, tuple[int, int, str]] = {}
        #: Bytes copied so far.
        self.copied = 0
        self._said: set[str] = set()

    def sync(self, whole: bool = False) -> None:
        """Copy what is new: a bounded piece of each file, or all of it."""
        for folder, subfolders, names in os.walk(self.source):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            for name in names:
                path = os.path.join(folder, name)
                if name.startswith(".") or os.path.islink(path) or not os.path.isfile(path):
                    continue
                try:
                    self._copy_new(path, whole)
                except FileNotFoundError:
                    continue  # removed by the script meanwhile
                except OSError as error:
                    self._say(path, error)

    def _say(self, path: str, error: OSError) -> None:
        if path not in self._said:
            self._said.add(path)
            print(protocol.timestamp(), "%s is not copied: %s" % (path, error.strerror), flush=True)

    def _copy_new(self, path: str, whole: bool) -> None:
        with open(path, "rb") as source:
            facts = os.fstat(source.fileno())
            inode, position, target = self._seen.get(path) or (facts.st_ino, *self._begin(path))
            if inode != facts.st_ino or facts.st_size < position:
                position = 0
                open(target, "wb").close()
            left = facts.st_size - position
            left = left if whole else min(left, PIECE)
            source.seek(position)
            if left:
                with open(target, "ab") as copy:
                    while left > 0:
                        chunk = source.read(min(left, 1 << 20))
                        if not chunk:
                            break
                        copy.write(chunk)
                        self.copied += len(chunk)
                        left -= len(chunk)
            self._seen[path] = (facts.st_ino, source.tell(), target)

    def _begin(self, path: str) -> tuple[int, str]:
        """Where to go on in a file that this mirror hasn't seen: at the end of a copy that a dead one left.

        A file of that name with other content is the script's own upload and stays.
        """
        target = os.path.join(self.target, os.path.relpath(path, self.source))
        number = 0
        while True:
            candidate = target if number == 0 else "%s.conflict-%d" % (target, number)
            os.makedirs(os.path.dirname(candidate), exist_ok=True)
            if not os.path.lexists(candidate):
                return 0, candidate
            if _starts_with(path, candidate):
                return os.path.getsize(candidate), candidate
            number += 1


def collect(work: str, files: str, tick: Tick) -> dict[str, Any]:
    """Move `./outputs` of the working directory to the run's files.

    A name that the script has uploaded by hand stays as uploaded; other content of that name is kept beside it. What
    links show is kept as files; a link to a folder outside the working directory is left behind. Where `outputs` itself
    is a link to elsewhere, its files are copied and stay.

    :param tick: told how far it has come; when it raises `LimitPassed`, the rest stays behind as a problem.
    :returns: `outputs`, the number of files kept; `conflicts`, the names of second versions; `left`, what stayed behind
        and why, one half sentence each; `problems`, what could not be kept, likewise; `in_time`, whether `tick` let it
        come to its end.
    """
    kept, in_time = _Kept(work, files), True
    try:
        kept.take_all(tick)
    except LimitPassed as passed:
        in_time = False
        kept.problems.append(str(passed))
    found = {"outputs": kept.count, "conflicts": kept.conflicts, "left": kept.left}
    return {**found, "problems": kept.problems, "in_time": in_time}


def _entries(root: str, links: bool) -> Iterator[str]:
    """Links, or files, below a folder; sockets and pipes hold nothing."""
    for folder, subfolders, names in os.walk(root):
        for name in sorted(names + subfolders):
            path = os.path.join(folder, name)
            if os.path.islink(path) if links else os.path.isfile(path) and not os.path.islink(path):
                yield path
        if not links and not names and not subfolders and folder != root:
            yield folder


class _Kept:
    """One collection: where it takes from and to, and what came of it."""

    def __init__(self, work: str, files: str) -> None:
        self.work, self.files = os.path.realpath(work), files
        self.root = os.path.join(work, protocol.OUTPUTS_FOLDER)
        self.ours = self._inside(os.path.realpath(self.root))
        self.count = 0
        self.conflicts: list[str] = []
        self.left: list[str] = []
        self.problems: list[str] = []

    def _inside(self, path: str) -> bool:
        return path == self.work or path.startswith(self.work + os.sep)

    def take_all(self, tick: Tick) -> None:
        """Keep everything; :raises LimitPassed: `tick` has."""
        for links in (True, False):  # links first, while all that they show is still there
            for path in list(_entries(self.root, links)):
                try:
                    self.take(path)
                except OSError as error:
                    name = os.path.relpath(path, os.path.dirname(self.root))
                    self.problems.append("%s: %s" % (name, error.strerror or error))
                tick("%d files so far" % self.count)

    def take(self, path: str) -> None:
        """Keep one file, empty folder or link."""
        name = os.path.relpath(path, self.root)
        if not os.path.islink(path):
            self._keep(path, name, cheap=self.ours)
            if self.ours and not os.path.isdir(path):
                os.unlink(path)
            return
        shown = os.path.realpath(path)
        if os.path.isfile(shown):
            self._keep(shown, name, cheap=self._inside(shown))
        elif os.path.isdir(shown) and self._inside(shown):
            for one in _entries(shown, links=False):
                self._keep(one, os.path.join(name, os.path.relpath(one, shown)), cheap=True)
        else:
            why = "a folder outside the working directory" if os.path.isdir(shown) else "nothing"
            self.left.append("outputs/%s is a link to %s" % (name, why))
            return
        if self.ours:
            os.unlink(path)

    def _keep(self, path: str, name: str, cheap: bool) -> None:
        """Give a file its name among the run's files; `cheap` allows a second name for the same bytes."""
        target = os.path.join(self.files, protocol.OUTPUTS_FOLDER, name)
        try:
            os.makedirs(target if os.path.isdir(path) else os.path.dirname(target), exist_ok=True)
        except (FileExistsError, NotADirectoryError):  # an uploaded file stands where a folder is needed
            target = os.path.join(self.files, protocol.OUTPUTS_FOLDER + ".conflict-1", name)
            os.makedirs(target if os.path.isdir(path) else os.path.dirname(target), exist_ok=True)
        if os.path.isdir(path):
            return
        number = 0
        while True:
            candidate = target if number == 0 else "%s.conflict-%d" % (target, number)
            try:
                _place(path, candidate, cheap)
                break
            except FileExistsError:
                if _same(path, candidate):
                    break
                number += 1
        self.count += 1
        if os.path.relpath(candidate, self.files) != os.path.join(protocol.OUTPUTS_FOLDER, name):
            self.conflicts.append(os.path.relpath(candidate, self.files))


def _place(path: str, target: str, cheap: bool) -> None:
    """Make `target`, which must not exist, hold what `path` holds."""
    if cheap:
        try:
            os.link(path, target)
            return
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
    aside = os.path.join(os.path.dirname(target), protocol.TEMPORARY + "%d" % os.getpid())
    import shutil  # every run waits for the imports of its supervisor, and most have no file to copy

    shutil.copyfile(path, aside)
    try:
        os.link(aside, target)
    finally:
        os.unlink(aside)


def _same(path: str, other: str) -> bool:
    if not os.path.isfile(path) or not os.path.isfile(other):
        return False
    if os.path.samefile(path, other):
        return True
    return os.path.getsize(path) == os.path.getsize(other) and _starts_with(path, other)


def _starts_with(path: str, beginning: str) -> bool:
    """Does one file begin with all bytes of the other?"""
    if not os.path.isfile(beginning) or os.path.getsize(beginning) > os.path.getsize(path):
        return False
    with open(path, "rb") as whole, open(beginning, "rb") as part:
        while True:
            chunk = part.read(1 << 20)
            if not chunk:
                return True
            if whole.read(len(chunk)) != chunk:
                return False
