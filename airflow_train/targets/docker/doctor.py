"""What works with an engine, tried out: `airflow-train doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_train.exceptions import InfrastructureFailure
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import EngineUnreachable

Check = tuple[str, bool, str]


def look(engine: Engine, options: Mapping[str, Any]) -> list[Check]:
    """What was tried, does it work, and what was found or is to be done.

    :raises InfrastructureFailure, ConfigurationError: the engine can't be spoken to.
    """
    return list(_checks(engine, options))


def _checks(engine: Engine, options: Mapping[str, Any]) -> Iterator[Check]:
    version, facts = engine.version(), engine.information()
    spoken = f"Docker {version.get('Version')}, API {version.get('ApiVersion')}"
    yield "engine", True, f"{spoken}, {version.get('Os')}/{version.get('Arch')}, at {engine.where}"
    held = bool(facts.get("MemoryLimit"))
    yield (
        "memory limits",
        True,
        "held by the engine" if held else "not held: the engine's kernel counts no memory",
    )
    gpus = "nvidia" in (facts.get("Runtimes") or {}) or bool(facts.get("CDISpecDirs"))
    yield (
        "gpu",
        True,
        "the engine knows a runtime for them" if gpus else "none: gpu is refused when a run starts",
    )
    if name := options.get("image"):
        yield _image(engine, str(name), version)
    if engine.place.login is not None:
        yield _login(engine)


def _image(engine: Engine, name: str, version: Mapping[str, Any]) -> Check:
    found = engine.find_image(name)
    if found is None:
        return "image", False, f"{name} is missing; it is pulled when a run starts, or docker pull it"
    made, own = found.get("Architecture"), version.get("Arch")
    if made not in (own, None, ""):
        return "image", False, f"{name} is made for {made}, the engine is {own}; name another image"
    return "image", True, f"{name} is there"


def _login(engine: Engine) -> Check:
    login = engine.place.login
    assert login is not None  # asked for by the caller
    where = login.registry or "docker.io"
    try:
        engine.try_login(login.username, login.password, login.registry)
    except EngineUnreachable:
        raise
    except InfrastructureFailure as error:
        return "login", False, f"{where} refuses the login of {login.source}: {error}"
    return "login", True, f"{where} takes the login of {login.source}"
