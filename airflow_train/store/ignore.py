"""Which files of a source directory stay behind.

The first of these in the root decides, the others are files like any other:

| file | rules |
|---|---|
| `.amlignore` | git's patterns, this one file |
| `.gitignore` | git's rules with the `.gitignore` of every folder below |
| `.dockerignore` | Docker's: patterns start at the root, the last match wins, `!` reaches into ignored folders |

`.git` never travels. The patterns are translated in `globs` and not by pathspec 1.1, which differs from git where it
matters (`[[:alpha:]]`, `!*/`): in 81 of 400 random trees against none of ours.
A `Scope` is what applies in one folder; its `key` changes when any rule does, so verdicts can be remembered by it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from airflow_train.exceptions import SnapshotError
from airflow_train.store import links
from airflow_train.store.globs import docker_regex, git_regex

GITIGNORE = ".gitignore"
DOCKERIGNORE = ".dockerignore"
#: In the order in which they are looked for.
IGNORE_FILES = (".amlignore", GITIGNORE, DOCKERIGNORE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ignore file. `str(rule)` names it for people."""

    file: str
    line: int
    text: str
    keeps: bool
    folders_only: bool
    regex: re.Pattern[str]
    #: Where a pattern that keeps can match: below this literal path. Docker only.
    below: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.text})"


_GIT_FOLDER = Rule("git's own folder", 0, ".git", keeps=False, folders_only=False, regex=re.compile(""))


class Layer:
    """One ignore file and the folder (`""` or with a slash at its end) to which its patterns are relative."""

    def __init__(self, kind: str, base: str, read: Callable[[], bytes]) -> None:
        self.kind = kind
        self.base = base
        self._read = read

    @cached_property
    def rules(self) -> Sequence[Rule]:
        parse = docker_rules if self.kind.endswith(DOCKERIGNORE) else git_rules
        return parse(f"{self.base}{self.kind}", self._read())

    def last_match(self, path: str, *, is_folder: bool) -> Rule | None:
        """The last rule that matches a path below the root; it wins."""
        inner = path[len(self.base) :]
        for rule in reversed(self.rules):
            if (is_folder or not rule.folders_only) and rule.regex.fullmatch(inner):
                return rule
        return None


@dataclass(frozen=True, slots=True)
class Scope:
    """The rules that apply to the names directly in one folder; the deepest layer comes first."""

    kind: str
    folder: str
    key: str
    layers: tuple[Layer, ...] = ()

    @property
    def nested(self) -> bool:
        """Whether a `.gitignore` in a folder below counts."""
        return self.kind == GITIGNORE

    def child(self, name: str, digest: str | None = None, read: Callable[[], bytes] | None = None) -> Scope:
        """Rules of a folder in this one.

        :param digest: SHA-256 of its own `.gitignore`, where those count (`nested`) and it has one.
        :param read: Reads that file; called only when a verdict is asked for.
        """
        folder = f"{self.folder}{name}/"
        if digest is None or read is None or not self.nested:
            return Scope(self.kind, folder, self.key, self.layers)
        key = hashlib.sha256(os.fsencode(f"{self.key}:{folder}:{digest}")).hexdigest()
        return Scope(self.kind, folder, key, (Layer(self.kind, folder, read), *self.layers))

    def why(self, name: str, *, is_folder: bool) -> Rule | None:
        """The rule that ignores a name directly in this folder, or None where it travels."""
        if name == ".git":
            return _GIT_FOLDER
        for layer in self.layers:
            rule = layer.last_match(f"{self.folder}{name}", is_folder=is_folder)
            if rule is not None:
                return None if rule.keeps else rule
        return None

    def keeps_below(self, name: str) -> bool:
        """Whether something in this ignored folder can travel all the same (Docker's `!`)."""
        if not self.kind.endswith(DOCKERIGNORE) or name == ".git":
            return False
        path = f"{self.folder}{name}/"
        rules = self.layers[0].rules
        return any(
            rule.keeps and (rule.below.startswith(path) or path.startswith(rule.below)) for rule in rules
        )


def root_scope(source: Path, kinds: Sequence[str] = IGNORE_FILES, keep: str = "") -> Scope:
    """Rules of a source directory's root.

    :param kinds: names of ignore files, of which the first that is there decides.
    :param keep: path that travels whatever it says.
    :raises SnapshotError: the ignore file can't be read.
    """
    for kind in kinds:
        try:
            if not _is_own_file(source, kind):
                continue
            content = (source / kind).read_bytes() + (f"\n!/{keep}\n".encode() if keep else b"")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SnapshotError(
                f"{source / kind} can't be read: {error.strerror}; grant it or remove the file."
            ) from error
        key = f"{kind}:{hashlib.sha256(content).hexdigest()}"
        return Scope(kind, "", key, (Layer(kind, "", partial(bytes, content)),))
    return Scope("", "", "")


def _is_own_file(source: Path, kind: str) -> bool:
    path = source / kind
    if stat.S_ISLNK(path.lstat().st_mode) and links.inside(os.path.realpath(source), "", kind) is None:
        raise SnapshotError(
            f"{path} is a link that leads out of the source directory; put the rules themselves there."
        )
    return path.is_file()


def why_ignored(source: Path, path: str) -> Rule | None:
    """The rule that keeps `path` (relative to the source directory) from travelling, or None."""
    scope, folder = root_scope(source), source
    parts = [part for part in os.path.normpath(path).split("/") if part not in ("", ".")]
    for place, part in enumerate(parts):
        is_folder = place < len(parts) - 1 or ((folder / part).is_dir() and not (folder / part).is_symlink())
        rule = scope.why(part, is_folder=is_folder)
        if rule is not None and not (is_folder and scope.keeps_below(part)):
            return rule
        folder /= part
        nested = folder / GITIGNORE
        has_own = scope.nested and is_folder and nested.is_file()
        scope = scope.child(part, "own" if has_own else None, nested.read_bytes)
    return None


def is_ignored(source: Path, path: str) -> bool:
    """Whether `path` (relative to the source directory) stays behind."""
    return why_ignored(source, path) is not None


def ignore_file(source: str, kinds: Sequence[str] = IGNORE_FILES) -> str:
    """Name of the ignore file that decides in a source directory, or of the one to make."""
    return next((name for name in kinds if os.path.lexists(f"{source}/{name}")), kinds[0])


def line_for(path: str) -> str:
    """The line of an ignore file that leaves a path, with a slash at its end if it is a folder, behind."""
    escaped = "".join(f"\\{one}" if one in "*?[\\" else "?" if one in "\n\r" else one for one in path)
    return f"/{escaped[:-1]}?" if escaped.endswith(" ") else f"/{escaped}"


def git_rules(file: str, content: bytes) -> list[Rule]:
    """Rules of a file with git's patterns; `file` is its name for people."""
    found = []
    for number, line in enumerate(_lines(content), 1):
        text = _without_trailing_spaces(line)
        if not text or text.startswith("#"):
            continue
        keeps = text.startswith("!")
        pattern = text[1:] if keeps else text
        folders_only = pattern.endswith("/")
        regex = git_regex(pattern[:-1] if folders_only else pattern)
        if regex is not None:
            found.append(Rule(file, number, text, keeps, folders_only, regex))
    return found


def docker_rules(file: str, content: bytes) -> list[Rule]:
    """Rules of a `.dockerignore`; a pattern that matches a folder matches everything in it."""
    found = []
    for number, line in enumerate(_lines(content), 1):
        text = line.strip()
        if not text or line.startswith("#"):
            continue
        keeps = text.startswith("!")
        pattern = os.path.normpath(text[1:].strip() if keeps else text).lstrip("/")
        regex = docker_regex(pattern) if pattern not in ("", ".") else None
        if regex is not None:
            literal = re.split(r"[*?\[\\]", pattern, maxsplit=1)[0]
            below = f"{pattern}/" if literal == pattern else literal[: literal.rfind("/") + 1]
            found.append(Rule(file, number, text, keeps, folders_only=False, regex=regex, below=below))
    return found


def _lines(content: bytes) -> list[str]:
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _without_trailing_spaces(line: str) -> str:
    end = len(line)
    while end and line[end - 1] == " ":
        backslashes = end - 1 - len(line[: end - 1].rstrip("\\"))
        if backslashes % 2:
            break
        end -= 1
    return line[:end]
