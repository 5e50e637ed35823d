"""Finding versions of models by name, tags, properties and run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from airflow_train.exceptions import ModelError
from airflow_train.models import registry
from airflow_train.models.record import ModelRecord
from airflow_train.store.files import Files

#: A dict, or a list of keys and `[key, value]` pairs.
Filter = Mapping[str, str] | Iterable[str | Sequence[str]] | None


def matching(
    files: Files, name: str | None, tags: Filter, properties: Filter, run_id: str | None
) -> list[ModelRecord]:
    """Versions that have all of it, newest first.

    :raises ModelError: `name` can't be a model's.
    """
    if name is not None:
        registry.check_name(name)
    found = [
        record
        for one in ([name] if name is not None else registry.names(files))
        for record in registry.versions(files, one)
        if _has(record.tags, tags)
        and _has(record.properties, properties)
        and run_id in (None, record.lineage.get("run_id"))
    ]
    return sorted(found, key=lambda record: (record.created_time, record.version), reverse=True)


def parse_id(model_id: str) -> tuple[str, str]:
    """Name and version of `name:version`."""
    name, colon, version = model_id.rpartition(":")
    if not colon:
        raise ModelError(
            f"the model id is {model_id!r} but must be 'name:version', as in 'digits:3'; or pass a name."
        )
    return name, version


def number(version: int | str | None) -> int | None:
    """A version as a number; templates give text."""
    if version is None:
        return None
    if not str(version).isdecimal() or int(version) < 1:
        raise ModelError(
            f"the version is {version!r} but must be a whole number from 1 up; leave it out for the newest."
        )
    return int(version)


def _has(values: Mapping[str, str], wanted: Filter) -> bool:
    if wanted is None:
        return True
    pairs = wanted.items() if isinstance(wanted, Mapping) else wanted
    for pair in pairs:
        key, value = (pair, None) if isinstance(pair, str) else (pair[0], pair[1] if len(pair) > 1 else None)
        if key not in values or (value is not None and values[key] != str(value)):
            return False
    return True
