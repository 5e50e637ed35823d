"""The document that says everything about a run before it starts; all later processes work from it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from airflow_train.exceptions import StoreError

VERSION = 1


@dataclass(frozen=True)
class RunSpec:
    """One run as it was submitted. Plain JSON data throughout, without secrets."""

    run_id: str
    experiment: str
    #: UTC, ISO 8601.
    created: str
    #: The definition as its author wrote it (`to_dict`).
    definition: Mapping[str, Any]
    #: The definition with every default filled in (`definitions.job.Job`).
    job: Mapping[str, Any]
    #: `name`, `type` and `options` of the compute target.
    target: Mapping[str, Any]
    #: `id`, `files` and `bytes` of the code that travels.
    snapshot: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Facts that never change: git, host. Keys of Azure ML where it has one.
    properties: Mapping[str, str] = field(default_factory=dict)
    #: Who submitted: `kind` (airflow, cli, python) and what names the task there.
    origin: Mapping[str, Any] = field(default_factory=dict)
    #: phase → longest duration in seconds; `job` holds that of the run itself.
    limits: Mapping[str, float] = field(default_factory=dict)
    #: What the script goes on from: `run_id` (None: a path of the submitting machine), `path`, is it a `file`?
    resume: Mapping[str, Any] | None = None
    #: The run of an earlier attempt whose outputs are offered to this one.
    previous: str | None = None
    version: int = VERSION

    @property
    def world_size(self) -> int:
        """Number of ranks: nodes × processes per node, or workers and parameter servers."""
        distribution = self.job["distribution"] or {}
        if distribution.get("type") == "tensorflow":
            return int(distribution["worker_count"]) + int(distribution["parameter_server_count"])
        return int(self.job["node_count"]) * int(self.job["process_count_per_node"])

    def to_json(self) -> dict[str, Any]:
        """Plain data; the inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunSpec:
        """Rebuild a spec; what a later version of the same format added is left out.

        :raises StoreError: the document is of a format that this version doesn't know.
        """
        if data.get("version") != VERSION:
            raise StoreError(
                f"run {data.get('run_id')} was written in format {data.get('version')}, but this version of "
                f"airflow-train reads format {VERSION}; upgrade airflow-train here."
            )
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})
