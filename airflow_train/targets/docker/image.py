"""An image before its container can start: pulled where it is missing, its Python, and whose files they shall be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_train.exceptions import ConfigurationError, InfrastructureFailure
from airflow_train.targets.docker import admission, login, plan
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import EngineUnreachable, Gone, Refusal

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


#: Engine and image → its interpreter, as images never change.
_pythons: dict[tuple[str, str], str] = {}

#: Other names of processors.
_SAME = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}

#: What registries and engines say of a login that isn't good enough.
_LOGIN = re.compile(r"denied|unauthorized|authentication|no basic auth|incorrect username", re.IGNORECASE)
#: What the public registry says, which doesn't tell one from the other.
_EITHER = "does not exist or may require"
#: What they say of an image that there isn't.
_MISSING = re.compile(
    r"not found|manifest unknown|no matching manifest|does not exist|invalid reference", re.IGNORECASE
)


def fetched(
    engine: Engine,
    name: str,
    platform: str | None,
    logins: tuple[login.Login, ...] = (),
    say: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """What the engine knows of an image, which is pulled where it is missing.

    :param logins: for the registry, the best first.
    :param say: told when a pull begins.
    :raises Refusal: it can't be had, or is made for other processors.
    """
    found = engine.find_image(name)
    if found is None or not _fits(found, platform):
        say(f"pulling {name}")
        _pull(engine, name, platform, logins)
        found = engine.find_image(name)
        if found is None:
            raise Refusal(f"the image {name} was removed as soon as it was pulled", "infrastructure")
    if not _fits(found, platform):
        raise Refusal(
            f"the image {name} is made for {found['Architecture']}, but the platform {platform} is asked for; use an "
            "image for it, or leave the platform out"
        )
    arch = engine.architecture
    if platform is None and arch and found.get("Architecture") not in (arch, None, ""):
        raise Refusal(
            f"the image {name} is made for {found['Architecture']} but the Docker engine at {engine.where} is "
            f"{arch}; use an image for {arch}, or name the platform to emulate it"
        )
    return found


def _fits(image: Mapping[str, Any], platform: str | None) -> bool:
    """Whether an image is made for the processors of a platform, as far as both are known."""
    made, wanted = image.get("Architecture"), (platform or "").split("/")[1:2]
    return not made or not wanted or made == _SAME.get(wanted[0], wanted[0])


def _pull(engine: Engine, name: str, platform: str | None, logins: tuple[login.Login, ...]) -> None:
    try:
        who, source = login.choose(engine.client(), name, logins)
    except ConfigurationError as error:
        raise Refusal(f"the image {name} can't be pulled: {str(error).rstrip('.')}") from error
    try:
        engine.pull(name, platform, who)
    except EngineUnreachable:
        raise
    except InfrastructureFailure as error:
        said = str(error).rstrip(".")
        whole = f"{name} for {platform}" if platform else name
        begin = f"the image {whole} isn't on the Docker engine at {engine.where} and can't be pulled"
        if "no space left" in said:
            raise
        if not source and _EITHER in said:
            mend = "correct custom_docker_image, or give a login by image_registry_details"
            raise Refusal(f"{begin} ({said}); {mend}") from error
        if _LOGIN.search(said):
            mend = f"correct the login of {source}" if source else "give a login by image_registry_details"
            whose = f"the registry refuses the login of {source}" if source else "the registry wants a login"
            raise Refusal(f"{begin}: {whose} ({said}); {mend}, or correct the image's name") from error
        if _MISSING.search(said):
            mend = "correct custom_docker_image, or load the image into the engine"
            raise Refusal(f"{begin} ({said}); {mend}") from error
        raise Refusal(f"{begin}, as its registry doesn't answer ({said})", "infrastructure") from error


def python(engine: Engine, made: plan.DockerPlan, image: Mapping[str, Any]) -> str:
    """Name of the interpreter on the image's PATH.

    :raises Refusal: it has none.
    """
    key = engine.key, str(image.get("Id"))
    if key not in _pythons:
        _pythons[key] = _python(engine, made, image)
    return _pythons[key]


def _python(engine: Engine, made: plan.DockerPlan, image: Mapping[str, Any]) -> str:
    variables = dict(one.partition("=")[::2] for one in image["Config"].get("Env") or [])
    folders = variables.get("PATH", _PATH).split(":")
    for name in ("python3", "python"):
        if any(engine.stat(made.container, f"{folder}/{name}") is not None for folder in folders if folder):
            return name
    raise Refusal(
        f"the image {made.image} has neither python3 nor python on its PATH; use an image with Python 3.8 or later"
    )


def make_again(engine: Engine, made: plan.DockerPlan) -> None:
    """Another container of that name, for another interpreter, unless another submitter has made just that."""
    there = engine.inspect(made.container)
    if there is None or there["Config"]["Entrypoint"][0] != made.python:
        engine.remove(made.container)
        engine.create(made)


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
        with engine.get(container, path) as stream:
            for member in stream.members():
                if member.size > admission.MOST:
                    return
                for line in b"".join(stream.content(member)).decode("utf-8", "replace").splitlines():
                    yield line.split(":")
    except Gone:
        return
