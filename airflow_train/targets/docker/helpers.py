"""Containers that a run of several nodes has beside its nodes'. They are gone with the run at the latest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_train.targets.docker import plan

#: Where the compiler has the zipapp, and how much it may say.
ZIPAPP = "/runtime.pyz"
_MOST = "16m"


def names(run_id: str) -> list[str]:
    """Of all that there may be."""
    return [_name(run_id, what) for what in ("compiler", "filler")]


def compiler(made: plan.DockerPlan) -> plan.DockerPlan:
    """A container of the image alone, which can do nothing but compile the runtime."""
    host = {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": _MOST, "max-file": "1"}},
    }
    return _helper(made, "compiler", [made.python, "-I", "-S", "-B", ZIPAPP, "compile", ZIPAPP], host)


def filler(made: plan.DockerPlan) -> plan.DockerPlan:
    """A container that is never started: by way of it one archive fills the volumes of all nodes, `plan.ROOT/NODE`.

    An engine needs 50 ms of a core for any archive, whatever is in it (20.10: it executes itself again).
    """
    mounts = [{**plan.mount(one), "Target": f"{plan.ROOT}/{one.node}"} for one in made.nodes]
    return _helper(made, "filler", [made.python], {"Mounts": mounts})


def _helper(made: plan.DockerPlan, what: str, command: list[str], host: Mapping[str, Any]) -> plan.DockerPlan:
    configuration = {
        "Image": made.image,
        "Entrypoint": command,
        "Cmd": [],
        "Labels": dict(made.labels),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {"NetworkMode": "none", **host},
    }
    name = _name(made.labels[plan.RUN_LABEL], what)
    return replace(made, container=name, configuration=configuration, others=())


def _name(run_id: str, what: str) -> str:
    return f"airflow-train-{run_id}-{what}"
