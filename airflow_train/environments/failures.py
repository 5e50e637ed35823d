"""What uv and conda say when they fail, in one sentence with the line that tells why."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_train.exceptions import BuildFailed, InfrastructureFailure, RunNotCompleted

#: What the machine or the network is to blame for, not the packages.
UNREACHABLE = re.compile(
    r"Failed to fetch|network was disabled|error sending request|Connection refused|dns error|timed out"
    r"|Temporary failure|CondaHTTPError|Could not resolve host|Download error|Failed to establish a new connection",
    re.IGNORECASE,
)
#: Answers of an index that stay the same: not found, not allowed.
_REFUSED = re.compile(r"HTTP status client error \((?!408|425|429)")
_FULL = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)
#: A program that the builder has started was killed, as a machine does that has no memory left, or was too slow.
_KILLED = re.compile(r"\bsignal: \d+|\(SIG[A-Z]+\)|Failed to bytecode-compile")
#: What uv 0.9 to 0.12 said → what it says now.
_EARLIER = {"×": "error:", "├─▶": "cause:", "╰─▶": "cause:", "Caused by:": "cause:"}
_MARKS = ("hint:", "[stderr]", "[stdout]")
_AN_ERROR = re.compile(r"(?:[\w.]*(?:Error|Exception)|(?:fatal )?error)\b.*:? ", re.IGNORECASE)
_CONCLUSION = re.compile(r",? (?:and|so)? ?we can conclude that your requirements are unsatisfiable")


def translated(lines: Sequence[str], code: int, program: str) -> RunNotCompleted:
    """The error of a program that failed.

    :param lines: what it said.
    :param code: its exit code; negative for a signal.
    """
    lines = _plain(lines)
    said = "\n".join(lines)
    if code < 0:
        return InfrastructureFailure(
            f"the environment could not be built: {program} was ended by signal {-code}"
        )
    if _FULL.search(said):
        return InfrastructureFailure(
            "the environment could not be built: no space is left on this machine; free some, or move "
            "[train] environments"
        )
    if UNREACHABLE.search(said) and not _REFUSED.search(said):
        return InfrastructureFailure(
            f"the environment could not be built: the package index can't be reached ({_reason(lines)})"
        )
    if _KILLED.search(said):
        return InfrastructureFailure(
            f"the environment could not be built: a program that {program} has started was killed ({_line(lines)})"
        )
    return BuildFailed(
        f"the environment can't be built: {_line(lines) or f'{program} ended with code {code}'}; correct the packages, "
        "system_logs/build.log tells the rest"
    )


def _plain(lines: Sequence[str]) -> list[str]:
    """As uv says it today; earlier versions drew trees, and broke their lines at 80 characters."""
    plain: list[str] = []
    broken = False
    for line in lines:
        text = line.strip()
        for old, mark in _EARLIER.items():
            if text.startswith(old):
                plain.append(f"{mark} {text[len(old) :].strip()}")
                broken = "Caused" not in old
                break
        else:
            if broken and line.startswith(" ") and not text.startswith(_MARKS):
                plain[-1] += f" {text}"
            else:
                broken = broken and text.startswith("hint:")
                plain.append(line)
    return plain


def _reason(lines: Sequence[str]) -> str:
    """Where to, and what came in the way."""
    causes = [*_marked(lines, "error:"), *_marked(lines, "cause:")]
    place = next((one for one in causes if one.startswith("Failed to fetch")), "")
    words = [one for one in (place, *causes[-1:]) if one]
    return "; ".join(dict.fromkeys(words)) or _line(lines)


def _line(lines: Sequence[str]) -> str:
    """The line that tells why."""
    errors, causes = _marked(lines, "error:"), _marked(lines, "cause:")
    if errors:
        why = [_of_a_package(lines) or (_CONCLUSION.sub("", causes[0]) if causes else "")]
        hints = [one for one in _marked(lines, "hint:") if re.search(r"\b40[13]\b|Did you mean", one)]
        return _one_sentence([errors[0], *why, *hints])
    said = [one.strip() for one in lines if one.strip()] or [""]
    at = max((at for at, one in enumerate(said) if _AN_ERROR.match(one)), default=len(said) - 1)
    listed = [one.lstrip("- ") for one in said[at + 1 : at + 4]] if said[at].endswith(":") else []
    return _one_sentence([said[at], ", ".join(listed)])


def _of_a_package(lines: Sequence[str]) -> str:
    """What a package said that could not be built: its error, else its first words."""
    for mark in ("[stderr]", "[stdout]"):
        begin = next((at for at, one in enumerate(lines) if one.strip() == mark), None)
        if begin is not None:
            own = [one.strip() for one in _until_next(lines[begin + 1 :])]
            errors = [one for one in own if _AN_ERROR.match(one)]
            words = [one for one in own if one and not one.startswith("Traceback")]
            if found := (errors[-1:] or words[:1]):
                return found[0].rstrip(".")
    return ""


def _until_next(lines: Sequence[str]) -> list[str]:
    ends = (at for at, one in enumerate(lines) if one.strip().startswith("hint:") or one.startswith("error:"))
    end = next(ends, len(lines))
    return list(lines[:end])


def _marked(lines: Sequence[str], mark: str) -> list[str]:
    return [one.strip()[len(mark) :].strip() for one in lines if one.strip().startswith(mark)]


def _one_sentence(parts: Sequence[str]) -> str:
    return ": ".join(one.rstrip(".: ") for one in parts if one)
