"""Secrets on their way from whoever submits to the ranks: by pipe, never a file, argument or environment.

The submitter writes them to the supervisor's standard input, and wrappers inherit them as memory. Only the script has
them in its environment.
"""

from __future__ import annotations

import json
import os

from airflow_train.runtime import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:  # every run waits for the supervisor's imports
    from typing import Any, Callable

    from airflow_train.runtime.redaction import Redactor

#: Key of what was handed over in the launch as it is in memory; no file has it.
_HANDED = "handed"


def receive(launch: dict[str, Any], source: int = 0) -> bool:
    """Read what the run's launch names from a descriptor; False when it ends before that.

    Whoever was killed while handing over has handed over nothing.
    """
    if not launch.get("secrets"):
        return True
    try:
        launch[_HANDED] = _unpacked(lambda most: os.read(source, most))
    except EOFError:
        return False
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, source)
    os.close(nothing)
    return set(launch["secrets"]).issubset(launch[_HANDED]["secrets"])


def from_file(launch: dict[str, Any]) -> int:
    """The descriptor of what lies in the file `handed` of a container, whose name is gone from then on."""
    path = os.path.join(launch["inside"], protocol.HANDED_FILE)
    try:
        source = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(os.devnull, os.O_RDONLY)
    os.unlink(path)
    return source


def variables(launch: dict[str, Any], what: str) -> dict[str, str]:
    """What was handed over: the `secrets`, or variables that the submitter has `inherited`."""
    found: dict[str, str] = launch.get(_HANDED, {}).get(what, {})
    return found


def redactor(launch: dict[str, Any]) -> Redactor | None:
    """What hides the secrets of this run; None when there is nothing to hide."""
    values = variables(launch, "secrets").values()
    if not values:
        return None
    from airflow_train.runtime.redaction import Redactor

    return Redactor(values) or None


def unknown(launch: dict[str, Any]) -> bool:
    """Does the run have secrets that weren't handed over, so that nothing can hide them?"""
    return bool(launch.get("secrets")) and _HANDED not in launch


def _unpacked(read: Callable[[int], bytes]) -> dict[str, dict[str, str]]:
    length = int(_exactly(read, protocol.LENGTH_DIGITS), 16)
    handed: dict[str, dict[str, str]] = json.loads(_exactly(read, length))
    return handed


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = read(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
