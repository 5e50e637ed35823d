"""The launch file of a node (`runtime/protocol.py`): command, environment of every rank, limits. Pure.

What is the same wherever the node is; a target says where things lie (`Places`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_train.runs import run_definition
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.targets import mpi, world

#: A command finds the programs of a named interpreter's folder, $0, before all others, as in an activated environment.
_FIRST_ON_PATH = 'PATH="$0:$PATH"; export PATH; exec "$@"'


@dataclass(frozen=True)
class Meeting:
    """How a node finds the others; each has a supervisor, and node 0 is where they meet."""

    node: int
    #: Name or IPv4 address by which the others reach node 0; node 0 itself doesn't look at it.
    host: str
    #: Folder of the node's certificates (`certificates.py`).
    certificates: str
    port: int = protocol.MEETING_PORT


@dataclass(frozen=True)
class Places:
    """Absolute paths as the node sees them."""

    run_folder: str
    #: What stages the code: `manifest` and `blobs`, or `folder` (`runtime/staging.py`).
    snapshot: Mapping[str, str]
    runtime: str
    script: str
    #: Python that runs the supervisor.
    python: str
    #: Python that runs the script.
    interpreter: str
    #: Folder of the store's models.
    models: str = ""
    #: Starts the ranks of MPI.
    mpirun: mpi.Mpirun | None = None
    #: Working directory of the script; a folder of the node below the run's by default.
    work: str = ""
    #: Folder of segments, where the node can't write to the run store.
    outbox: str = ""
    #: Folder that only a container sees: its claim, and secrets on their way in. Empty where the node is no container.
    inside: str = ""
    #: What builds the environment that `interpreter` belongs to, as in the launch file.
    build: Mapping[str, Any] | None = None
    #: Way to the other nodes, where each has a supervisor of its own.
    meeting: Meeting | None = None

    @property
    def node(self) -> int:
        """Number of the node that is launched."""
        return self.meeting.node if self.meeting else 0

    def folder(self) -> str:
        """Folder of the node."""
        return os.path.join(self.run_folder, protocol.node_folder(self.node))

    def file(self) -> str:
        """Where the launch file lies."""
        return os.path.join(self.folder(), protocol.LAUNCH_FILE)

    def runtime_command(self) -> tuple[str, ...]:
        """What starts the runtime; a command of it and the launch file follow.

        -I and -S: nothing of the user's Python set-up reaches the runtime, and it starts in 15 ms.
        """
        return (self.python, "-I", "-S", "-B", self.runtime)


@dataclass
class HandedOver:
    """What a run gets of earlier ones: copies for the launch file, variables and arguments for the script."""

    copies: list[dict[str, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)


def build(spec: RunSpec, places: Places, earlier: HandedOver | None = None) -> dict[str, Any]:
    """The launch file of a run, or of one node of it where `places` have a meeting."""
    earlier = earlier or HandedOver()
    ranks, ports = world.of(spec, places.run_folder, places.folder(), apart=places.meeting is not None)
    node = places.folder()
    job = spec.job
    mpirun = None
    if world.kind(spec) == "mpi" and (places.build is None or places.mpirun is not None):
        nodes = job["node_count"] if places.meeting is not None else 1
        mpirun = mpi.planned(places.mpirun, len(ranks), nodes)
    return {
        "protocol": protocol.PROTOCOL,
        "run_id": spec.run_id,
        "run_folder": places.run_folder,
        "work_folder": places.work or os.path.join(node, protocol.WORK_FOLDER),
        "snapshot": dict(places.snapshot),
        "script_path": os.pathsep.join([*_on_start(spec, places), places.script, _packages(places)]),
        "command": command(job, places.interpreter, _starter(spec, places), earlier.arguments),
        "environment": {**_environment(spec, places), **earlier.environment},
        "checkpoints": earlier.copies,
        "secrets": sorted(job.get("secrets") or {}),
        "mpirun": mpirun,
        "outbox": places.outbox or None,
        "inside": places.inside or None,
        "retry": _retry(spec),
        "build": None if places.build is None else dict(places.build),
        "programs": None if places.build is None else os.path.dirname(places.interpreter),
        "ranks": ranks if places.meeting is None else [one for one in ranks if one["node"] == places.node],
        "ports": len(ports),
        "meeting": places.meeting and _meeting(spec, places.meeting, ranks, ports),
        "grace_seconds": job["grace_seconds"],
        "max_run_duration_seconds": job["max_run_duration_seconds"],
        "no_progress_timeout": job.get("no_progress_timeout"),
        "stacks_folder": os.path.join(node, protocol.STACKS_FOLDER),
        "limits": dict(spec.limits),
        "memory_bytes": job["memory_bytes"],
    }


def _meeting(
    spec: RunSpec, meeting: Meeting, ranks: Sequence[Mapping[str, Any]], ports: Sequence[int]
) -> dict[str, Any]:
    return {
        **asdict(meeting),
        "nodes": spec.job["node_count"],
        "world": [{part: one[part] for part in ("rank", "node", "serves")} for one in ranks],
        "ports": list(ports),
    }


def _on_start(spec: RunSpec, places: Places) -> list[str]:
    """Folder of what every Python of a rank imports first."""
    needed = spec.job.get("no_progress_timeout") or world.watched(spec)
    return [os.path.join(places.script, "on_start")] if needed else []


def _packages(places: Places) -> str:
    return os.path.join(places.script, protocol.PACKAGES_FILE)


def _starter(spec: RunSpec, places: Places) -> tuple[str, ...]:
    """What stands between the interpreter and the entry script."""
    if is_notebook(spec.job):
        return (os.path.join(places.script, "train_notebook.py"),)
    return (os.path.join(places.script, "train_mpi.py"),) if world.kind(spec) == "mpi" else ()


def command(
    job: Mapping[str, Any], interpreter: str, starter: Sequence[str] = (), more: Sequence[str] = ()
) -> list[str]:
    """Command line of every rank: a script under `interpreter`, or the author's own command (text goes to a shell).

    :param more: arguments for a script after its own.
    """
    if job["command"] is not None:
        own = job["command"]
        words = ["/bin/sh", "-c", own] if isinstance(own, str) else [str(part) for part in own]
        if job["interpreter_path"]:
            return ["/bin/sh", "-c", _FIRST_ON_PATH, os.path.dirname(interpreter), *words]
        return words
    return [interpreter, *starter, str(job["entry_script"]), *job["arguments"], *more]


def is_notebook(job: Mapping[str, Any]) -> bool:
    """Is the entry script a notebook?"""
    return job["command"] is None and str(job["entry_script"]).endswith(".ipynb")


def _environment(spec: RunSpec, places: Places) -> dict[str, str]:
    built = os.path.dirname(os.path.dirname(places.interpreter)) if places.build is not None else None
    return {
        "PYTHONUNBUFFERED": "1",
        **({"VIRTUAL_ENV": built} if built else {}),
        **azureml_variables(spec),
        **(world.interfaces() if places.meeting else {}),
        **spec.job["environment_variables"],
        protocol.RUN_ID: spec.run_id,
        protocol.EXPERIMENT: spec.experiment,
        protocol.TAGS: json.dumps(dict(spec.tags)),
        protocol.PROPERTIES: json.dumps(dict(spec.properties)),
        protocol.MODELS: places.models,
        **_secrets(spec),
        protocol.FILES: os.path.join(places.run_folder, protocol.FILES_FOLDER),
        protocol.CANCEL: os.path.join(places.run_folder, protocol.CANCEL_FILE),
    }


def _secrets(spec: RunSpec) -> dict[str, str]:
    names = sorted(spec.job.get("secrets") or {})
    return {protocol.SECRETS: ",".join(names)} if names else {}


def azureml_variables(spec: RunSpec) -> dict[str, str]:
    """What Azure ML told a script about its run, as far as it has a meaning here; the definition's own win."""
    framework, communicator = run_definition.framework(spec.job["distribution"])
    return {
        "AZUREML_RUN_ID": spec.run_id,
        "AZUREML_ARM_PROJECT_NAME": spec.experiment,
        "AZUREML_EXPERIMENT_ID": spec.experiment,
        "AZUREML_OUTPUT_DIRECTORY": "./outputs",
        "AZUREML_LOGDIRECTORY_PATH": "./logs",
        "AZUREML_NODE_COUNT": str(spec.job["node_count"]),
        "AZUREML_FRAMEWORK": framework,
        "AZUREML_COMMUNICATOR": communicator,
        "AZUREML_TARGET_TYPE": str(spec.target["type"]),
    }


def _retry(spec: RunSpec) -> dict[str, Any] | None:
    """When a worker that failed is started again; None for never."""
    distribution = spec.job["distribution"] or {}
    times = int(distribution.get("max_retries_per_worker", 0))
    return {"times": times, "terminal_exit_codes": distribution["terminal_exit_codes"]} if times else None
