"""What has to be known of an image before its container can start: its Python, and whose files they shall be."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_train.targets.docker import plan
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import Gone, Refusal

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def python(engine: Engine, made: plan.DockerPlan, image: Mapping[str, Any]) -> str:
    """Name of the interpreter on the image's PATH.

    :raises Refusal: it has none.
    """
    variables = dict(one.partition("=")[::2] for one in image["Config"].get("Env") or [])
    folders = variables.get("PATH", _PATH).split(":")
    for name in ("python3", "python"):
        if any(engine.stat(made.container, f"{folder}/{name}") is not None for folder in folders if folder):
            return name
    raise Refusal(
        f"the image {made.image} has neither python3 nor python on its PATH; use an image with Python 3.8 or later"
    )


def owner(engine: Engine, made: plan.DockerPlan, image: Mapping[str, Any]) -> tuple[int, int]:
    """Numbers of the user and group that the container runs as.

    :raises Refusal: the image knows no such user.
    """
    said = str(made.configuration.get("User") or image["Config"].get("User") or "0")
    user, _, group = said.partition(":")
    if user.isdecimal() and (group or "0").isdecimal():
        return int(user), int(group or 0)
    users = {row[0]: row for row in _table(engine, made.container, "/etc/passwd")}
    groups = {row[0]: row for row in _table(engine, made.container, "/etc/group")} if group else {}
    if user not in users and not user.isdecimal():
        raise Refusal(
            f"the image {made.image} has no user {user!r}; correct the option user, or leave it out"
        )
    number = int(user) if user.isdecimal() else int(users[user][2])
    if not group:
        return number, int(users[user][3])
    if group not in groups and not group.isdecimal():
        raise Refusal(
            f"the image {made.image} has no group {group!r}; correct the option user, or leave it out"
        )
    return number, int(group) if group.isdecimal() else int(groups[group][2])


def _table(engine: Engine, container: str, path: str) -> Iterator[list[str]]:
    try:
        with engine.get(container, path) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                file = tar.extractfile(member)
                for line in file.read().decode("utf-8", "replace").splitlines() if file is not None else []:
                    yield line.split(":")
    except Gone:
        return
