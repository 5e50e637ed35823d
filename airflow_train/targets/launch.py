"""The launch file of a node (`runtime/protocol.py`): command, environment of every rank, limits. Pure.

What is the same wherever the node is; a target says where things lie (`Places`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_train.runs import run_definition
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.targets import mpi

ADDRESS = "127.0.0.1"
#: A command finds the programs of a named interpreter's folder, $0, before all others, as in an activated environment.
_FIRST_ON_PATH = 'PATH="$0:$PATH"; export PATH; exec "$@"'


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

    def file(self) -> str:
        """Where the launch file lies."""
        return os.path.join(self.run_folder, protocol.node_folder(0), protocol.LAUNCH_FILE)

    def runtime_command(self) -> tuple[str, ...]:
        """What starts the runtime; a command of it and the launch file follow.

        -I and -S: nothing of the user's Python set-up reaches the runtime, and it starts in 15 ms.
        """
        return (self.python, "-I", "-S", "-B", self.runtime)

    def wrapper(self) -> list[str]:
        """What mpirun starts for every rank."""
        return [*self.runtime_command(), "rank", self.file()]


@dataclass
class HandedOver:
    """What a run gets of earlier ones: copies for the launch file, variables and arguments for the script."""

    copies: list[dict[str, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)


def build(spec: RunSpec, places: Places, earlier: HandedOver | None = None) -> dict[str, Any]:
    """The launch file of a run."""
    earlier = earlier or HandedOver()
    ranks, ports = _ranks(spec, places.run_folder)
    node = os.path.join(places.run_folder, protocol.node_folder(0))
    job = spec.job
    mpirun = None
    if _kind(spec) == "mpi" and places.mpirun is not None:
        mpirun = mpi.command_line(places.mpirun, len(ranks), places.wrapper())
    return {
        "protocol": protocol.PROTOCOL,
        "run_id": spec.run_id,
        "run_folder": places.run_folder,
        "work_folder": places.work or os.path.join(node, protocol.WORK_FOLDER),
        "snapshot": dict(places.snapshot),
        "script_path": os.pathsep.join([*_on_start(spec, places), places.script]),
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
        "ranks": ranks,
        "ports": ports,
        "grace_seconds": job["grace_seconds"],
        "max_run_duration_seconds": job["max_run_duration_seconds"],
        "no_progress_timeout": job.get("no_progress_timeout"),
        "stacks_folder": os.path.join(node, protocol.STACKS_FOLDER),
        "limits": dict(spec.limits),
        "memory_bytes": job["memory_bytes"],
    }


def _on_start(spec: RunSpec, places: Places) -> list[str]:
    """Folder of what every Python of a rank imports first."""
    needed = spec.job.get("no_progress_timeout") or _watched(spec)
    return [os.path.join(places.script, "on_start")] if needed else []


def _watched(spec: RunSpec) -> bool:
    """Does MPI run in a Python that the author's own command starts?"""
    return _kind(spec) == "mpi" and spec.job["command"] is not None


def _starter(spec: RunSpec, places: Places) -> tuple[str, ...]:
    """What stands between the interpreter and the entry script."""
    if is_notebook(spec.job):
        return (os.path.join(places.script, "train_notebook.py"),)
    return (os.path.join(places.script, "train_mpi.py"),) if _kind(spec) == "mpi" else ()


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


def _ranks(spec: RunSpec, run_folder: str) -> tuple[list[dict[str, Any]], int]:
    """Every rank with its own variables, and how many free ports these name."""
    kind = _kind(spec)
    ranks = _tensorflow(spec) if kind == "tensorflow" else _processes(spec, _VARIABLES.get(kind, _none))
    for one in ranks:
        one["environment"][protocol.RANK] = str(one["rank"])
        if _watched(spec):
            one["environment"][protocol.WATCHED] = "1"
        if spec.job.get("no_progress_timeout"):
            folder = os.path.join(
                run_folder, protocol.node_folder(0), protocol.STACKS_FOLDER, str(one["rank"])
            )
            one["environment"][protocol.STACKS] = f"{protocol.STACKS_SIGNAL}:{folder}"
        one["environment"][protocol.METRICS] = os.path.join(run_folder, protocol.metrics_file(one["rank"]))
    return ranks, {"tensorflow": len(ranks), "pytorch": 1, "mpi": 1}.get(kind, 0)


def _retry(spec: RunSpec) -> dict[str, Any] | None:
    """When a worker that failed is started again; None for never."""
    distribution = spec.job["distribution"] or {}
    times = int(distribution.get("max_retries_per_worker", 0))
    return {"times": times, "terminal_exit_codes": distribution["terminal_exit_codes"]} if times else None


def _kind(spec: RunSpec) -> str:
    return str((spec.job["distribution"] or {}).get("type", ""))


@dataclass(frozen=True)
class _Place:
    """Where a rank is among all and on its node."""

    rank: int
    node: int
    local: int
    nodes: int
    per_node: int


def _processes(spec: RunSpec, variables: Callable[[_Place], dict[str, str]]) -> list[dict[str, Any]]:
    nodes, per_node = spec.job["node_count"], spec.job["process_count_per_node"]
    ranks = []
    for rank in range(nodes * per_node):
        node, local = divmod(rank, per_node)
        place = _Place(rank, node, local, nodes, per_node)
        environment = variables(place)
        ranks.append({"rank": rank, "node": place.node, "serves": False, "environment": environment})
    return ranks


def _none(place: _Place) -> dict[str, str]:
    return {}


def _pytorch(place: _Place) -> dict[str, str]:
    return {
        "RANK": str(place.rank),
        "LOCAL_RANK": str(place.local),
        "WORLD_SIZE": str(place.nodes * place.per_node),
        "LOCAL_WORLD_SIZE": str(place.per_node),
        "NODE_RANK": str(place.node),
        "MASTER_ADDR": ADDRESS,
        "MASTER_PORT": protocol.PORT_PLACEHOLDER % 0,
    }


def _mpi(place: _Place) -> dict[str, str]:
    """What Open MPI can't know, as it sees one node. It counts NODE_RANK within a node, as LOCAL_RANK.

    The AZ_ variables name the first node, as Azure ML did.
    """
    return {
        "OMPI_COMM_WORLD_LOCAL_RANK": str(place.local),
        "OMPI_COMM_WORLD_LOCAL_SIZE": str(place.per_node),
        "OMPI_COMM_WORLD_NODE_RANK": str(place.local),
        "AZ_BATCH_MASTER_NODE": f"{ADDRESS}:{protocol.PORT_PLACEHOLDER % 0}",
        "AZ_BATCHAI_MPI_MASTER_NODE": ADDRESS,
    }


_VARIABLES = {"pytorch": _pytorch, "mpi": _mpi}


def _tensorflow(spec: RunSpec) -> list[dict[str, Any]]:
    """Workers first, parameter servers after them; the latter serve until the workers are done."""
    distribution = spec.job["distribution"]
    tasks = [("worker", index) for index in range(distribution["worker_count"])]
    tasks += [("ps", index) for index in range(distribution["parameter_server_count"])]
    cluster: dict[str, list[str]] = {}
    for number, (kind, _) in enumerate(tasks):
        cluster.setdefault(kind, []).append(f"{ADDRESS}:{protocol.PORT_PLACEHOLDER % number}")
    ranks = []
    for rank, (kind, index) in enumerate(tasks):
        config = {"cluster": cluster, "task": {"type": kind, "index": index}, "environment": "cloud"}
        variables = {"TF_CONFIG": json.dumps(config)}
        ranks.append({"rank": rank, "node": rank, "serves": kind == "ps", "environment": variables})
    return ranks
