"""What a local run is made of: one supervisor and its launch file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_train.runs.spec import RunSpec
from airflow_train.targets import launch
from airflow_train.targets.local import checkpoints


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
    earlier = checkpoints.handed_over(spec, places.run_folder)
    return LocalPlan((*places.runtime_command(), "node", places.file()), launch.build(spec, places, earlier))
