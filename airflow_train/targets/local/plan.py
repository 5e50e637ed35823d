"""What a local run is made of: one supervisor and its launch file. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.targets import checkpoints, launch


@dataclass(frozen=True)
class LocalPlan:
    """The supervisor's command line and its launch file (`runtime/protocol.py`)."""

    supervisor: tuple[str, ...]
    launch: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def build(spec: RunSpec, places: launch.Places) -> LocalPlan:
    """The plan of a run."""
    place = os.path.join(places.run_folder, protocol.node_folder(0), protocol.CHECKPOINTS_FOLDER)
    earlier = checkpoints.handed_over(spec, place, os.path.dirname(places.run_folder))
    return LocalPlan((*places.runtime_command(), "node", places.file()), launch.build(spec, places, earlier))
