"""Files of a run as the runtime writes them: created exclusively, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import time

from airflow_train.runtime import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator


def create(path: str, value: dict[str, Any]) -> bool:
    """Write a record that must not exist yet; False when somebody was first.

    The content is written aside and linked to its name, so that a kill in between leaves no half record.
    """
    aside = _aside(path)
    with open(aside, "w", encoding="utf-8") as file:
        json.dump(value, file)
    try:
        os.link(aside, path)
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(FileNotFoundError):  # whoever judged the run meanwhile has swept it away
            os.unlink(aside)
    return True


def replace(path: str, value: dict[str, Any]) -> None:
    """Write the one file that may change, the heartbeat."""
    aside = _aside(path)
    with open(aside, "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(aside, path)


def read(path: str) -> dict[str, Any] | None:
    """A record, or None while it doesn't exist."""
    try:
        with open(path, encoding="utf-8") as file:
            value: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return None
    return value


def append_event(run_folder: str, phase: str, reason: str) -> None:
    """Take the next number of `events/` for what the run waits for now, one of `protocol.PHASES`."""
    folder = os.path.join(run_folder, protocol.EVENTS_FOLDER)
    os.makedirs(folder, exist_ok=True)
    number = 1 + max((int(n[:-5]) for n in os.listdir(folder) if n.endswith(".json")), default=0)
    status = protocol.PHASES[phase]
    event = {"at": protocol.timestamp(), "status": status, "phase": phase, "reason": reason, "by": "node"}
    while not create(os.path.join(folder, "%04d.json" % number), event):
        number += 1


@contextlib.contextmanager
def tolerated(what: str) -> Iterator[None]:
    """What can't be written now, on a full disk say, must not end the training."""
    try:
        yield
    except OSError as error:
        print(protocol.timestamp(), "a %s could not be written: %s" % (what, error.strerror), flush=True)


def _aside(path: str) -> str:
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, "%s%d-%d" % (protocol.TEMPORARY, os.getpid(), time.monotonic_ns()))
