"""A run's files become a version of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_train.models import contents, registry
from airflow_train.models.model import Model
from airflow_train.store.files import Files


def register_from_run(
    files: Files,
    run_id: str,
    model_name: str,
    model_path: str | None = None,
    *,
    tags: Mapping[str, Any] | None = None,
    properties: Mapping[str, Any] | None = None,
    description: str | None = None,
    model_framework: str | None = None,
    model_framework_version: str | None = None,
    lineage: Mapping[str, Any] | None = None,
) -> Model:
    """Register files of a run, a file or a folder below the run's files; what `Run.register_model` does.

    Without `model_path` the run has a file or folder called like the model. The same path of the same run again gives
    the version it has. `lineage`: `experiment`, `snapshot_id`, `git_commit` and what else is known; `run_id` is added.

    :raises RunNotFound: no such run.
    :raises ModelError: nothing is at that path (the sentence names the nearest files), or a value breaks a rule.
    """
    path = contents.normal_path(model_name if model_path is None else model_path)
    facts = registry.Facts(
        model_name,
        tags=tags,
        properties=properties,
        description=description,
        framework=model_framework,
        framework_version=model_framework_version,
        model_path=path,
        lineage={**(lineage or {}), "run_id": run_id},
    )
    key = registry.run_key(run_id, path)
    record = registry.registered(files, model_name, key)
    if record is None:
        found = contents.of_run(files, run_id, path, said=model_path is not None)
        record = registry.register(files, facts, found, key)
    return Model.of(files, record)
