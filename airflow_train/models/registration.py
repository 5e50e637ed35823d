"""A run's files become a version of a model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow_train.models import contents, registry
from airflow_train.models.model import Model
from airflow_train.models.record import ModelRecord
from airflow_train.store.files import Files

log = logging.getLogger(__name__)


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
    the version it has: what is new about it is added, what differs stays as it was and is logged.
    `lineage`: `experiment`, `snapshot_id`, `git_commit` and what else is known; `run_id` is added.

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
    else:
        record = _add(files, record, facts)
    return Model.of(files, record)


def _add(files: Files, record: ModelRecord, facts: registry.Facts) -> ModelRecord:
    """Add what is said anew about a version that exists; what it says otherwise stays, and a warning names that."""
    changes: dict[str, Any] = {}
    differs: list[str] = []
    for what in ("tags", "properties"):
        given, there = getattr(facts, what) or {}, getattr(record, what)
        if added := {key: value for key, value in given.items() if key not in there}:
            changes[what] = added
        differs += [f"{what}[{key!r}]" for key, value in given.items() if there.get(key, value) != value]
    if facts.description is not None and record.description is None:
        changes["description"] = facts.description
    for what in ("description", "framework", "framework_version"):
        given, there = getattr(facts, what), getattr(record, what)
        if given is not None and given != there and what not in changes:
            differs.append(what)
    if differs:
        log.warning(
            "Model %s:%s exists and keeps its %s; change tags and description by Model.add_tags and Model.update.",
            record.name,
            record.version,
            ", ".join(differs),
        )
    return registry.change(files, record.name, record.version, changes) if changes else record
