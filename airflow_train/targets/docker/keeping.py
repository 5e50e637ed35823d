"""Images that were built on an engine for runs of any store, and what killed builds left there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from airflow_train.environments import dockerfile
from airflow_train.environments import image as images
from airflow_train.targets.base import Kept
from airflow_train.targets.docker import plan
from airflow_train.targets.docker.engine import Engine

#: A build that goes on leaves nothing of it alone for longer; seconds.
BETWEEN_STEPS = 60.0
_IMAGE, _STEP = "image ", "container of a build "
#: What the engine runs for an instruction that changes no file.
_NOTHING = "#(nop)"
#: What we finish an image by; who builds on ours inherits the label, but not this.
_LABELLED = f"LABEL {dockerfile.LABEL.partition('.')[0]}."


class Shelf:
    """What an engine keeps of builds; remembers when an image that it showed had last been asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: dict[str, str] = {}

    def find(self) -> list[Kept]:
        """Everything that was built or half built; containers first, as images can't go before them."""
        containers = self._engine.build_steps(dockerfile.LABEL)
        used = {str(one["ImageID"]) for one in containers}
        return [*_steps(containers), *self._images(used)]

    def _images(self, used: set[str]) -> Iterator[Kept]:
        for one in self._engine.built_images(dockerfile.LABEL):
            key, identity = one["Labels"][dockerfile.LABEL], str(one["Id"])
            given = set(one.get("RepoTags") or []) - {"<none>:<none>"}
            names = sorted(name for name in given if name.startswith(f"{images.REPOSITORY}:"))
            if key == dockerfile.BUILDING and not given:
                idle = max(0.0, time.time() - float(one["Created"]))
                in_use = identity in used or idle < BETWEEN_STEPS
                yield Kept("", f"{_IMAGE}{_short(identity)}", one["Size"], idle, in_use)
            elif names or (not given and _LABELLED in self._engine.last_step(identity)):
                name = names[0] if names else _short(identity)
                self._asked[name] = self._last_asked(name)
                idle = _idle(self._asked[name], float(one["Created"]))
                yield Kept(key, f"{_IMAGE}{name}", one["Size"], idle, identity in used)

    def _last_asked(self, name: str) -> str:
        """When a run has named an image; empty when nobody has."""
        found = self._engine.find_image(name) or {}
        named = str((found.get("Metadata") or {}).get("LastTagTime") or "")
        return "" if named.startswith("0001") else named

    def remove(self, kept: Kept) -> bool:
        """Remove it; False when it has come into use since it was shown."""
        if kept.what.startswith(_STEP):
            self._engine.remove(kept.what.removeprefix(_STEP))
            return True
        name = kept.what.removeprefix(_IMAGE)
        if name in self._asked and self._last_asked(name) not in ("", self._asked[name]):
            return False
        return self._engine.remove_image(name)


def _steps(containers: list[dict[str, Any]]) -> Iterator[Kept]:
    for one in containers:
        half = one["Labels"][dockerfile.LABEL] == dockerfile.BUILDING or _NOTHING in str(one["Command"])
        if half and plan.RUN_LABEL not in one["Labels"]:
            what, idle = f"{_STEP}{_short(one['Id'])}", max(0.0, time.time() - float(one["Created"]))
            yield Kept("", what, None, idle, one["State"] == "running" or idle < BETWEEN_STEPS)


def _short(identity: str) -> str:
    return identity.removeprefix("sha256:")[:12]


def _idle(asked: str, created: float) -> float:
    last = datetime.fromisoformat(asked).timestamp() if asked else created
    return max(0.0, time.time() - last)
