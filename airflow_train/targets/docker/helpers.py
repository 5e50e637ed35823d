"""Containers that a run of several nodes has beside its nodes'. They are gone with the run at the latest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_train.targets.docker import plan

#: Where the compiler has the zipapp, and how much it may say.
ZIPAPP = "/runtime.pyz"
_MOST = "16m"
#: How the user confines nodes, which holds for whatever else runs of their image.
_CONFINES = ("Runtime", "UsernsMode", "SecurityOpt", "Memory", "MemorySwap", "NanoCpus", "PidsLimit")


def names(run_id: str) -> list[str]:
    """Of all that there may be."""
    return [_name(run_id, what) for what in ("compiler", "filler")]


def compiler(made: plan.DockerPlan, image: str) -> plan.DockerPlan:
    """A container of the image alone, which can do nothing but compile the runtime.

    :param image: its id: names move.
    """
    nodes = made.configuration["HostConfig"]
    host = {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        **{name: nodes[name] for name in _CONFINES if name in nodes},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": _MOST, "max-file": "1"}},
    }
    command = [made.python, "-I", "-S", "-B", ZIPAPP, "compile", ZIPAPP]
    more = {name: made.configuration[name] for name in ("User",) if name in made.configuration}
    return _helper(made, "compiler", {"Image": image, "Entrypoint": command, **more}, host)


def filler(made: plan.DockerPlan) -> plan.DockerPlan:
    """A container that is never started: by way of it one archive fills the volumes of all nodes, `plan.ROOT/NODE`.

    An engine needs 50 ms of a core for any archive, whatever is in it (20.10: it executes itself again).
    """
    mounts = [{**plan.mount(one), "Target": f"{plan.ROOT}/{one.node}"} for one in made.nodes]
    return _helper(made, "filler", {"Image": made.image, "Entrypoint": [made.python]}, {"Mounts": mounts})


def _helper(
    made: plan.DockerPlan, what: str, more: Mapping[str, Any], host: Mapping[str, Any]
) -> plan.DockerPlan:
    configuration = {
        **more,
        "Cmd": [],
        "Labels": dict(made.labels),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {"NetworkMode": "none", **host},
    }
    name = _name(made.labels[plan.RUN_LABEL], what)
    return replace(made, container=name, configuration=configuration, others=())


def _name(run_id: str, what: str) -> str:
    return f"airflow-train-{run_id}-{what}"
