"""Models that a script asked for by `run.register_model`: carried out by whoever judges the run, before the verdict.

A request is a file below the run that nothing changes, and registering the same path of the same run again gives the
version it has, so that a judge who is killed in between is simply followed by the next one.
"""

from __future__ import annotations

import json
from typing import Any

from airflow_train.exceptions import ModelError
from airflow_train.models.model import Model
from airflow_train.models.registration import register_from_run
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore

_FAILED = ".failed.json"


def carry_out(store: RunStore, spec: RunSpec) -> list[Model]:
    """Register what the script asked for; what can't be registered is written down beside the request."""
    folder = layout.registrations(spec.run_id)
    made = []
    for name in store.files.list(folder):
        if name.endswith(_FAILED):
            continue
        try:
            wanted = _wanted(store.files.read(f"{folder}/{name}"))
            named = wanted["model_framework"], wanted["model_framework_version"]
            wanted["model_framework"], wanted["model_framework_version"] = framework(spec, *named)
            made.append(register_from_run(store.files, spec.run_id, **wanted, lineage=lineage(spec)))
        except ModelError as error:
            failure = {"at": protocol.timestamp(), "error": str(error)}
            store.files.create_json(f"{folder}/{name.removesuffix('.json')}{_FAILED}", failure)
    return made


def _wanted(data: bytes) -> dict[str, Any]:
    """What a request says; the script could have written anything, and a judge goes on.

    :raises ModelError: it is no request.
    """
    try:
        wanted = json.loads(data)
        texts = ("model_name", "model_path", "description", "model_framework", "model_framework_version")
        if any(not isinstance(wanted[text], str | None) for text in texts):
            raise TypeError
        return {name: wanted[name] for name in (*texts, "tags", "properties")}
    except (ValueError, KeyError, TypeError):
        raise ModelError(
            "a request to register a model isn't one of run.register_model; use that instead of writing it."
        ) from None


def framework(spec: RunSpec, named: str | None, version: str | None) -> tuple[str | None, str | None]:
    """Framework and version of a model: those of the run's estimator, unless others are named."""
    own = spec.job.get("framework")
    if named in (None, own):
        return own, version or spec.job.get("framework_version")
    return named, version


def failures(store: RunStore, run_id: str) -> list[str]:
    """Why models that the script asked for weren't registered, one sentence each."""
    folder = layout.registrations(run_id)
    failed = [name for name in store.files.list(folder) if name.endswith(_FAILED)]
    return [str(store.files.read_json(f"{folder}/{name}")["error"]) for name in failed]


def lineage(spec: RunSpec) -> dict[str, str | None]:
    """Where a model of this run comes from."""
    return {
        "experiment": spec.experiment,
        "snapshot_id": str(spec.snapshot["id"]),
        "git_commit": spec.properties.get("azureml.git.commit"),
    }
