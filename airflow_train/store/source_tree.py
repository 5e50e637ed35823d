"""What of a source directory travels, folder by folder, and what of it is known from the last time.

A folder whose names and facts (mode, inode, size, times of change) are as remembered is taken over whole: its part of
the manifest, the verdicts of the ignore rules and all digests. In any other folder this holds name by name.
A file that changed just before it was looked at can change again without a trace, so it isn't trusted next time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from airflow_train.exceptions import SnapshotError
from airflow_train.store import links
from airflow_train.store.facts import FACTS, by_name, is_old, packed
from airflow_train.store.ignore import GITIGNORE, IGNORE_FILES, Scope, ignore_file, line_for, root_scope

log = logging.getLogger(__name__)

#: `[path, "f", mode, bytes, sha256]`, `[path, "l", target]` or `[path, "d", mode]`.
Entry = list[Any]


@dataclass(slots=True)
class Folder:
    """The names directly in one folder. `path` is "" or ends with a slash."""

    path: str
    key: str = ""
    names: str = ""
    facts: bytes = b""
    #: Digest of its own `.gitignore`.
    own: str = ""
    verified: int = 0
    settled: bool = False
    body: bytes = b""
    files: int = 0
    bytes: int = 0
    subfolders: tuple[tuple[str, bool], ...] = ()
    links: tuple[str, ...] = ()
    #: Travels only if something in it does.
    optional: bool = False
    #: Only in a folder that isn't as remembered; a file without digest has yet to be read.
    entries: list[Entry] | None = field(default=None, repr=False)

    def remembered(self) -> tuple[Any, ...]:
        """The fields above but the last two, which `Folder(*fields)` takes."""
        return (
            self.path, self.key, self.names, self.facts, self.own, self.verified, self.settled, self.body, self.files,
            self.bytes, self.subfolders, self.links,
        )  # fmt: skip

    def all_entries(self) -> list[Entry]:
        """Entries of the manifest, the folder's own left out."""
        found: list[Entry] = json.loads(b"[%s]" % self.body) if self.entries is None else self.entries
        return found

    def finish(self, read: dict[str, tuple[int, ...]], *, complete: bool = True) -> None:
        """Makes the folder's part of the manifest once all its digests are there.

        :param read: facts of files as they were when they were read, by name.
        :param complete: no file was gone by then; else nothing is trusted next time.
        """
        if not complete:
            self.names, self.facts, self.settled = "", b"", False
        elif read and self.names:
            whole = (
                (name, read.get(name, facts)) for name, facts in by_name(self.names.split("\0"), self.facts)
            )
            self.facts = packed([number for _, facts in whole for number in facts])
            self.settled = self.settled and all(is_old(facts, self.verified) for facts in read.values())
        if self.entries is not None:
            self.body = json.dumps(self.entries, separators=(",", ":")).encode("ascii")[1:-1]
            self.files = len(self.entries)
            self.bytes = sum(entry[3] for entry in self.entries if entry[1] == "f")


class SourceTree:
    """Looks at a source directory once.

    :param known: folders as the last snapshot had them, by path.
    :param without: a folder below the source that never travels: the run store, where it lies inside.
    :param now: time in nanoseconds since 1970, taken before anything is looked at.
    :param ignore, keep: as `ignore.root_scope` takes them.
    """

    def __init__(
        self,
        source: str,
        known: dict[str, Folder],
        without: str | None,
        now: int,
        ignore: Sequence[str] = IGNORE_FILES,
        keep: str = "",
    ) -> None:
        self.source = source
        self._ignore, self._keep = ignore, keep
        self._known = known
        self.without = without
        self._now = now

    def walk(self) -> Iterator[Folder]:
        """All folders that travel; those with `entries` aren't as remembered.

        :raises SnapshotError: something can't be read, or a link leads outside.
        """
        ahead: list[tuple[Scope | None, str, str, bool]] = [(None, "", "", False)]
        while ahead:
            above, name, path, optional = ahead.pop()
            folder, scope = self._look(above, name, path)
            folder.optional = optional
            yield folder
            ahead.extend((scope, sub, f"{path}{sub}/", flag) for sub, flag in reversed(folder.subfolders))

    def _look(self, above: Scope | None, name: str, path: str) -> tuple[Folder, Scope]:
        names, numbers = self._listing(path)
        folder = Folder(path, names="\0".join(names), facts=packed(numbers), verified=self._now)
        old = self._known.get(path)
        same = old is not None and old.settled and old.names == folder.names and old.facts == folder.facts
        if above is None:
            scope = root_scope(Path(self.source), self._ignore, self._keep)
        elif not above.nested or GITIGNORE not in names:
            scope = above.child(name)
        else:
            mode = numbers[FACTS * [one for one in names if one[-1] != "/"].index(GITIGNORE)]
            read = partial(self._read_rules, f"{path}{GITIGNORE}")
            if stat.S_ISREG(mode):
                folder.own = old.own if old is not None and same else hashlib.sha256(read()).hexdigest()
            scope = above.child(name, folder.own or None, read)
        if old is not None and same and old.key == scope.key:
            for link in old.links:
                self.link(path, link)
            return old, scope
        folder.key = scope.key
        _Sorting(self, folder, scope, old).sort(names)
        return folder, scope

    def _listing(self, path: str) -> tuple[list[str], list[int]]:
        """Names, those of folders with a slash at their end, and the facts of all others."""
        names: list[str] = []
        numbers: list[int] = []
        try:
            with os.scandir(f"{self.source}/{path}") as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        names.append(f"{entry.name}/")
                        continue
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    names.append(entry.name)
                    times = found.st_mtime_ns, found.st_ctime_ns
                    numbers += (found.st_mode, found.st_ino, found.st_size, *times)
        except FileNotFoundError:
            if path:
                return [], []
            raise SnapshotError(f"{self.source} is no folder; correct source_directory.") from None
        except OSError as error:
            if path:
                raise self.unreadable(path, error) from error
            raise SnapshotError(
                f"{self.source} can't be read ({error.strerror}); correct source_directory."
            ) from error
        return names, numbers

    def _read_rules(self, path: str) -> bytes:
        try:
            return Path(self.source, path).read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise self.unreadable(path, error) from error

    def link(self, folder: str, name: str) -> str:
        """What a link says, fit to travel.

        :raises SnapshotError: it leads outside.
        """
        try:
            target = links.inside(self.source, folder, name)
        except OSError as error:
            raise self.unreadable(f"{folder}{name}", error) from error
        if target is None:
            path = f"{folder}{name}"
            raise SnapshotError(
                f"{self.source}/{path} is a link to {os.readlink(f'{self.source}/{path}')}, which leads out of the"
                f" source directory; put what it shows inside or add the line {line_for(path)} to"
                f" {self.source}/{ignore_file(self.source, self._ignore)}."
            )
        return target

    def unreadable(self, path: str, error: OSError) -> SnapshotError:
        """The error for a file or folder that can't be read."""
        return SnapshotError(
            f"{self.source}/{path} can't be read ({error.strerror}); grant it or add the line {line_for(path)} to"
            f" {self.source}/{ignore_file(self.source, self._ignore)}."
        )


class _Sorting:
    """Decides name by name what travels in a folder that isn't as remembered."""

    def __init__(self, tree: SourceTree, folder: Folder, scope: Scope, old: Folder | None) -> None:
        self._tree, self._folder, self._scope = tree, folder, scope
        self._entries: list[Entry] = []
        self._subfolders: list[tuple[str, bool]] = []
        self._links: list[str] = []
        self._old_facts: dict[str, tuple[int, ...]] = {}
        self._old_entries: dict[str, Entry] = {}
        self._old_subfolders: dict[str, bool] = {}
        self._verified = 0
        self._same_rules = old is not None and old.key == scope.key
        if old is not None:
            self._old_facts = dict(by_name(old.names.split("\0"), old.facts)) if old.names else {}
            self._old_entries = {entry[0]: entry for entry in old.all_entries()}
            self._old_subfolders = dict(old.subfolders)
            self._verified = old.verified

    def sort(self, names: list[str]) -> None:
        folder = self._folder
        settled = True
        for name, facts in sorted(by_name(names, folder.facts)):
            if name.endswith("/"):
                self._sort_folder(name[:-1])
                continue
            settled = settled and is_old(facts, folder.verified)
            if stat.S_ISREG(facts[0]) or stat.S_ISLNK(facts[0]):
                self._sort_file(name, facts)
            elif self._scope.why(name, is_folder=False) is None:
                settled = False  # to say so each time
                place = f"{self._tree.source}/{folder.path}{name}"
                log.warning("%s stays behind: it is no file, folder or link", place)
        folder.settled = settled
        folder.entries = self._entries
        folder.subfolders = tuple(self._subfolders)
        folder.links = tuple(self._links)
        folder.files = len(self._entries)
        folder.bytes = sum(entry[3] for entry in self._entries if entry[1] == "f")

    def _sort_folder(self, name: str) -> None:
        if f"{self._folder.path}{name}" == self._tree.without:
            return
        if self._same_rules and f"{name}/" in self._old_facts:
            if name in self._old_subfolders:
                self._subfolders.append((name, self._old_subfolders[name]))
        elif self._scope.why(name, is_folder=True) is None:
            self._subfolders.append((name, False))
        elif self._scope.keeps_below(name):
            self._subfolders.append((name, True))

    def _sort_file(self, name: str, facts: tuple[int, ...]) -> None:
        path = f"{self._folder.path}{name}"
        old_facts, old = self._old_facts.get(name), self._old_entries.get(path)
        if self._same_rules and old_facts and (stat.S_ISREG(old_facts[0]) or stat.S_ISLNK(old_facts[0])):
            ignored = old is None
        else:
            ignored = self._scope.why(name, is_folder=False) is not None
        if ignored:
            return
        if stat.S_ISLNK(facts[0]):
            self._links.append(name)
            self._entries.append([path, "l", self._tree.link(self._folder.path, name)])
        elif old is not None and old_facts == facts and is_old(facts, self._verified):
            self._entries.append(old)
        else:
            self._entries.append([path, "f", travelling_mode(facts[0]), facts[2], ""])


def travelling_mode(mode: int) -> int:
    """All that travels of a file's mode is whether its owner may execute it."""
    return 0o755 if mode & stat.S_IXUSR else 0o644
