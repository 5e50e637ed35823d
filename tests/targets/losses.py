"""Nodes that are lost: a container killed, paused or cut off."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from airflow_train.targets.docker import plan
from tests.targets.lab import Lab, docker, until
from tests.targets.worlds import MEET

KINDS = ("kill", "pause", "network")
#: Seconds within which a run that has lost a node has failed.
NOTICED = 10.0
#: Ranks that talk to each other all the time, as in training.
TALK = f"""{MEET}
mark("ready " + os.environ["AIRFLOW_TRAIN_RANK"])
while True:
    world.allreduce(1)
    time.sleep(0.01)
"""


def lose(lab: Lab, run_id: str, node: int, how: str) -> tuple[float, Mapping[str, Any]]:
    """Lose a node; returns the seconds until the run has failed, and its verdict."""
    name = plan.container_name(run_id, node)
    if how == "pause":  # a busy engine can't always freeze at once
        until(lambda: docker("pause", name, check=False) == name)
    elif how == "network":
        docker("network", "disconnect", plan.network_name(run_id), name)
    else:
        docker(how, name)
    began = time.monotonic()
    view = lab.wait(run_id)
    return time.monotonic() - began, view.record.verdict or {}
