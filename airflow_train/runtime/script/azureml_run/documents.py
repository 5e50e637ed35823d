"""Small JSON documents that appear whole or not at all, and once: what a script leaves for whoever looks next."""

from __future__ import annotations

import json
import os
from time import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airflow_train.runtime.script.train_run import without_secrets
else:
    from train_run import without_secrets

_TEMPORARY = ".airflow-train-tmp-"  # listings of the store leave these out


def create(path: str, value: dict[str, Any]) -> bool:
    """Make a document of the store; False when there is one of that name."""
    if os.path.lexists(path):
        return False
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    aside = os.path.join(folder, f"{_TEMPORARY}{os.getpid()}-{os.urandom(8).hex()}")
    try:
        with open(aside, "x", encoding="ascii") as file:
            file.write(json.dumps(without_secrets(value), separators=(",", ":")) + "\n")
        os.link(aside, path)
        return True
    except FileExistsError:
        return False
    finally:
        if os.path.lexists(aside):
            os.unlink(aside)


def read(path: str) -> Any:
    """A document; None when it isn't there."""
    try:
        with open(path, encoding="ascii") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def numbers(folder: str) -> list[int]:
    """Numbers that name something in a folder, in order: `0001.json` and `000001` are both 1."""
    try:
        names = [name[:-5] if name.endswith(".json") else name for name in os.listdir(folder)]
    except FileNotFoundError:
        return []
    return sorted(int(name) for name in names if name.isdecimal())


def stamp() -> str:
    """The time now, UTC, as the store writes it."""
    from time import gmtime, strftime

    now = time()
    return "%s.%03dZ" % (strftime("%Y-%m-%dT%H:%M:%S", gmtime(now)), int(now % 1 * 1000))
