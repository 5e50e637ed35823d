"""What a line for pip, or a package of conda's, may be, wherever it stands: in a list, or a file of either.

A line must mean the same wherever the environment is built: no file of this machine, no password, and no option that
one installer knows and another passes over (uv, which builds for the local target, passes over most of pip's).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from airflow_train.definitions.lists import TextList
from airflow_train.definitions.report import At
from airflow_train.definitions.text_file import text_of_file
from airflow_train.definitions.values import HIDDEN, Written, is_deferred, shown
from airflow_train.exceptions import DefinitionError

#: Options that may stand in a line, and whether a value follows. https://docs.astral.sh/uv/pip/compatibility/
_OPTIONS = {
    "-i": True, "--index-url": True, "--extra-index-url": True, "-f": True, "--find-links": True, "--no-index": False,
    "--no-binary": True, "--only-binary": True,
}  # fmt: skip
_PLACES = ("-f", "--find-links", "-i", "--index-url", "--extra-index-url")
#: Those that are refused, with what to do instead.
_REFUSED = {
    "-e": "name the package as its index has it, or by an address such as git+https://…",
    "--editable": "name the package as its index has it, or by an address such as git+https://…",
    "-c": "write the limits into the lines of the packages",
    "--constraint": "write the limits into the lines of the packages",
    "--pre": "name the version, as in name>=2.0rc1",
    "--require-hashes": "leave it out, as it follows from hashes",
    "--trusted-host": "let whoever builds trust its certificate",
}
_INCLUDES = ("-r", "--requirement")
_INCLUDE = re.compile(r"(?:-r\s*|--requirement[\s=]\s*)(.+)")
_OPTION = re.compile(r"(-[A-Za-z](?=\S)|--?[A-Za-z][\w-]*)(?:[\s=]*(.*))")
_HASH = re.compile(r"\s+--hash[=\s](\S+)")
_DIGEST = re.compile(r"(sha256|sha384|sha512):[0-9a-fA-F]{64,128}")
_CREDENTIALS = re.compile(r"https?://[^/\s]*@|://[^/\s@]*:[^/\s]*@")
#: https://docs.anaconda.com/anaconda-org/user-guide/work-with-tokens/
_TOKEN = re.compile(r"://[^/\s]+/t/[^/\s]+")
#: A key at the end of an address, as signed ones have it: what leads to it, and itself.
KEY_IN_QUERY = re.compile(
    r"(://[^\s?]*\?(?:[^\s&]*&)*?[^\s=&]*(?:token|sig|signature|secret|password|key|credential)=)([^\s&$'\"]+)",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\{\w+\}")
_ADDRESS = re.compile(r"(?:(?:git|hg|svn|bzr)\+)?[a-z]+://\S+")
_FILE = re.compile(r"file:|[./~]|[A-Za-z]:[\\/]|[^\s@]*\.(whl|zip|tar\.gz)$")
_VERSION = r"(===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9_.*+!-]+"
_LIMITS = rf"({_VERSION}(\s*,\s*{_VERSION})*\s*,?)"
_PACKAGE = re.compile(
    rf"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\s*\[[^\[\]]*\])?\s*(\(\s*{_LIMITS}\s*\)|{_LIMITS})?\s*(;.+)?"
)
_DIRECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\s*\[[^\[\]]*\])?\s*@\s*(\S+)(\s+;.+)?")


class Wrong(NamedTuple):
    """What is wrong with a line."""

    #: The line, as far as it may be shown.
    found: str
    #: What it is or does.
    why: str
    mend: str

    def of(self, place: object) -> str:
        """The finding about what stands in this place."""
        return (
            f"{place} {HIDDEN} {self.why}"
            if self.found == HIDDEN
            else f"{place} is {self.found}, which {self.why}"
        )


def problem(line: str) -> Wrong | None:
    """What is wrong with a line; None where it means the same everywhere."""
    if _CREDENTIALS.search(line) or KEY_IN_QUERY.search(line):
        mend = "let whoever builds find it in its own configuration of pip or uv"
        return Wrong(HIDDEN, "holds the login of an address, which definitions never do", mend)
    if _VARIABLE.search(line):
        return Wrong(
            shown(Written(line)), "holds a variable, whose value depends on who builds", "write its value"
        )
    if line.startswith("-"):
        return _wrong_option(line)
    bare = _HASH.sub("", line).strip()
    if not all(map(_DIGEST.fullmatch, _HASH.findall(line))):
        return Wrong(shown(Written(line)), "has a hash that is none", "write --hash=sha256: and 64 digits")
    direct = _DIRECT.fullmatch(bare)
    target = direct[2] if direct else bare.partition(" ;")[0].strip()
    if _ADDRESS.fullmatch(target) and not target.startswith("file:"):
        return None
    if _FILE.match(target):
        mend = "name the package as its index has it, or by an https address"
        return Wrong(shown(Written(line)), "is a file of this machine and doesn't travel", mend)
    if not direct and _PACKAGE.fullmatch(bare):
        return None
    return Wrong(shown(Written(line)), "is no package", "write it as pip does, such as name==1.2")


def conda_problem(text: str) -> Wrong | None:
    """What is wrong with a package or channel of conda's; None where it means the same everywhere."""
    if _CREDENTIALS.search(text) or KEY_IN_QUERY.search(text) or _TOKEN.search(text):
        mend = "let whoever builds find it in its own configuration of conda"
        return Wrong(HIDDEN, "holds the login of an address, which definitions never do", mend)
    if text.strip().startswith("-") or not text.isprintable():
        return Wrong(shown(Written(text)), "is no package or channel of conda", "write name=version")
    if text.startswith(("/", "./", "../", "~", "file:")):
        mend = "name it as its channel has it"
        return Wrong(shown(Written(text)), "is a file of this machine and doesn't travel", mend)
    return None


def _wrong_option(line: str) -> Wrong | None:
    found = _OPTION.fullmatch(line)
    name, value = (found[1], found[2]) if found else (line, "")
    if name in _INCLUDES:
        return Wrong(
            shown(Written(line)), "names another file, which doesn't travel", "write the packages themselves"
        )
    if name in _REFUSED:
        return Wrong(shown(Written(line)), "can't be honoured wherever this is built", _REFUSED[name])
    if name not in _OPTIONS:
        honoured = ", ".join(one for one in _OPTIONS if one.startswith("--"))
        return Wrong(
            shown(Written(line)), "is no option that is honoured", f"leave it out; honoured are {honoured}"
        )
    if bool(value) != _OPTIONS[name]:
        return Wrong(
            shown(Written(line)),
            f"has {'a' if value else 'no'} value",
            f"write {name}{'' if value else ' VALUE'}",
        )
    if name in _PLACES and not re.match(r"https?://", value):
        return Wrong(
            shown(Written(line)), "names a place on this machine and doesn't travel", "write an https address"
        )
    return None


class PipLines(TextList):
    """Packages and options as pip writes them."""

    def _item(self, item: Any, at: At) -> Any:
        read = super()._item(item, at)
        if read is None or is_deferred(read):
            return read
        line = " ".join(str(read).split())
        wrong = problem(line)
        return read if wrong is None else at.say(wrong.of(at), wrong.mend)


class CondaPackages(TextList):
    """Packages as conda writes them."""

    def _item(self, item: Any, at: At) -> Any:
        read = super()._item(item, at)
        wrong = None if read is None or is_deferred(read) else conda_problem(str(read))
        return read if wrong is None else at.say(wrong.of(at), wrong.mend)


def read_file(path: Path) -> list[str]:
    """Lines of a requirements file, without comments, those of files that it includes in their place.

    :raises DefinitionError: with everything that is wrong with it, or one of those files can't be read.
    """
    problems: list[str] = []
    lines = list(_lines(path, (), problems))
    if problems:
        raise DefinitionError(problems)
    return lines


def included(line: Any, path: Path) -> list[Any]:
    """A line for pip in another file, or the lines of the requirements file that it includes.

    :param path: the other file.
    :raises DefinitionError: as `read_file`.
    """
    found = _INCLUDE.fullmatch(line.strip()) if isinstance(line, str) else None
    return [line] if found is None or "://" in found[1] else list(read_file(path.parent / found[1].strip()))


def _lines(path: Path, above: tuple[Path, ...], problems: list[str]) -> Iterator[str]:
    here = path.absolute()
    for number, line in _logical(text_of_file(path, "a requirements file")):
        if include := _INCLUDE.fullmatch(line):
            named = (shlex.split(include[1]) or [""])[0] if "'" in line or '"' in line else include[1].strip()
            inner = path.parent / named
            if "://" in named:
                problems.append(
                    f"{path}:{number}: {line} is on the network, where it may change; copy it here."
                )
            elif inner.resolve() in [one.resolve() for one in (*above, here)]:
                problems.append(
                    f"{path}:{number}: {line} leads back to a file that includes this one; leave it out."
                )
            elif not inner.is_file():
                problems.append(f"{path}:{number}: {line} names no file, there is no {inner}; correct it.")
            else:
                yield from _lines(inner, (*above, here), problems)
        elif wrong := problem(line):
            problems.append(f"{path}:{number}: {wrong.of('this line')}; {wrong.mend}.")
        else:
            yield line


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines that say something, with the number of their first one; a backslash at an end goes on in the next one."""
    start, whole = 0, ""
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        line = re.sub(r"(^|\s+)#.*$", "", raw).rstrip()
        start = start or number
        if line.endswith("\\"):
            whole += f"{line[:-1].strip()} "
            continue
        whole = f"{whole}{line.strip()}".strip()
        if whole:
            yield start, whole
        start, whole = 0, ""
