"""What was submitted in the words of a runconfig: `runDefinition` of Azure ML's run details, keys unchanged.

Sections that have no meaning here are there and empty, as the original has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_train.runs.spec import RunSpec

_WORDS = {
    "mpi": ("Python", "OpenMpi"),
    "tensorflow": ("TensorFlow", "ParameterServer"),
    "paralleltask": ("Python", "ParallelTask"),
}


def framework(distribution: Mapping[str, Any] | None) -> tuple[str, str]:
    """Framework and communicator of a runconfig."""
    kind = str((distribution or {}).get("type"))
    if distribution is not None and kind == "pytorch":
        return "PyTorch", str(distribution.get("communication_backend", "Nccl"))
    return _WORDS.get(kind, ("Python", "None"))


def run_definition(spec: RunSpec) -> dict[str, Any]:
    """The runconfig of a run, as JSON."""
    job = spec.job
    name, communicator = framework(job["distribution"])
    command = job["command"]
    return {
        "script": job["entry_script"],
        "command": command if isinstance(command, str) else " ".join(map(str, command or ())),
        "useAbsolutePath": False,
        "arguments": list(job["arguments"]),
        "sourceDirectoryDataStore": None,
        "framework": name,
        "communicator": communicator,
        "target": spec.target["name"],
        "dataReferences": {},
        "data": {},
        "outputData": {},
        "jobName": None,
        "maxRunDurationSeconds": job["max_run_duration_seconds"],
        "nodeCount": job["node_count"],
        "priority": None,
        "environment": _environment(job),
        "history": {
            "outputCollection": True,
            "snapshotProject": True,
            "directoriesToWatch": ["logs"],
        },
        "spark": {},
        **_distribution(job),
    }


def _environment(job: Mapping[str, Any]) -> dict[str, Any]:
    asked = job["environment"]
    packages = list(asked.get("conda_packages", ()))
    pip = [{"pip": list(asked["pip_packages"])}] if asked.get("pip_packages") else []
    name, _, version = str(asked.get("name") or "").partition(":")
    return {
        "name": name or None,
        "version": version or None,
        "python": {
            "interpreterPath": job["interpreter_path"] or "python",
            "userManagedDependencies": job["user_managed"],
            "condaDependencies": {"dependencies": packages + pip} if packages or pip else {},
        },
        "environmentVariables": dict(job["environment_variables"]),
        "docker": {
            "enabled": bool(asked.get("use_docker", asked.get("image"))),
            "baseImage": asked.get("image"),
            "baseDockerfile": asked.get("dockerfile"),
            "shmSize": job["shm_size"],
            "arguments": list(asked.get("docker_arguments", ())),
        },
        "spark": {},
    }


def _distribution(job: Mapping[str, Any]) -> dict[str, Any]:
    asked = job["distribution"] or {}
    kind, nodes, per_node = asked.get("type"), job["node_count"], job["process_count_per_node"]
    workers, servers = asked.get("worker_count", 1), asked.get("parameter_server_count", 0)
    mpi = {"processCountPerNode": per_node, "nodeCount": nodes}
    backend = framework(asked)[1] if kind == "pytorch" else "Nccl"
    return {
        "mpi": mpi if kind == "mpi" else {"processCountPerNode": 1, "nodeCount": 1},
        "tensorflow": {"workerCount": workers, "parameterServerCount": servers},
        "pyTorch": {
            "communicationBackend": backend,
            "processCount": nodes * per_node if kind == "pytorch" else None,
            "nodeCount": nodes if kind == "pytorch" else 1,
        },
    }
