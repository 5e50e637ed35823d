"""Models that a script asked for by `run.register_model`: carried out by whoever judges the run, before the verdict.

A request is a file below the run that nothing changes, and registering the same path of the same run again gives the
version it has, so that a judge who is killed in between is simply followed by the next one.
"""

from __future__ import annotations

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
        wanted = store.files.read_json(f"{folder}/{name}")
        try:
            made.append(
                register_from_run(
                    store.files,
                    spec.run_id,
                    wanted["model_name"],
                    wanted["model_path"],
                    tags=wanted["tags"],
                    properties=wanted["properties"],
                    description=wanted["description"],
                    model_framework=wanted["model_framework"],
                    model_framework_version=wanted["model_framework_version"],
                    lineage=lineage(spec),
                )
            )
        except ModelError as error:
            failure = {"at": protocol.timestamp(), "model_name": wanted["model_name"], "error": str(error)}
            store.files.create_json(f"{folder}/{name.removesuffix('.json')}{_FAILED}", failure)
    return made


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
