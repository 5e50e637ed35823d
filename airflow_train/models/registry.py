"""Versions of models in the run store: claimed, finished, read, changed, deleted, downloaded.

models/NAME/000003/claim.json          made exclusively: version 3 is taken
                  /files/ROOT/...      copied, each appears whole
                  /model.json          made last: version 3 exists
                  /changes/0001.json   tags, properties, description since
                  /deleted.json        tombstone; the files are gone, the number stays taken
models/NAME/by_run/KEY/0001.json       version that a path of a run was registered as; KEY is a hash of both
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_train.exceptions import ModelError, ModelNotFound
from airflow_train.models.contents import Contents
from airflow_train.models.record import Entry, ModelRecord
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.files import Files

#: Azure ML's rule for model names.
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-._]{0,254}")

_CLAIM = "claim.json"
_MODEL = "model.json"
_DELETED = "deleted.json"


@dataclass(frozen=True)
class Facts:
    """What is said about a new version beside its files.

    :raises ModelError: a value breaks a rule.
    """

    name: str
    #: Values become text.
    tags: Mapping[str, Any] | None = None
    properties: Mapping[str, Any] | None = None
    description: str | None = None
    framework: str | None = None
    framework_version: str | None = None
    model_path: str = ""
    lineage: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.framework_version and not self.framework:
            raise ModelError(
                f"model_framework_version of {self.name} is {self.framework_version!r} without a model_framework; "
                "give both, or neither."
            )
        object.__setattr__(self, "tags", as_texts("tags", self.tags))
        object.__setattr__(self, "properties", as_texts("properties", self.properties))


def check_name(name: object) -> None:
    """:raises ModelError: `name` can't be the name of a model."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ModelError(
            f"the model's name is {name!r} but must be 1 to 255 letters, digits, '-', '.' or '_' and start with a "
            "letter or digit; rename it."
        )


def as_texts(what: str, values: Mapping[str, Any] | None) -> dict[str, str]:
    """Tags or properties as text.

    :raises ModelError: `values` is no dict.
    """
    if values is not None and not isinstance(values, Mapping):
        raise ModelError(f"{what} of a model are {values!r} but must be a dict, as in {{'stage': 'final'}}.")
    return {str(key): "" if value is None else str(value) for key, value in (values or {}).items()}


def run_key(run_id: str, model_path: str) -> str:
    """What makes a second registration of the same path of the same run find the first one."""
    return hashlib.sha256(json.dumps([run_id, model_path]).encode()).hexdigest()[:32]


def registered(files: Files, name: str, key: str) -> ModelRecord | None:
    """The finished version under a run key, if there is one."""
    check_name(name)
    number, version = _by_run(files, name, key)
    return _read(files, name, version) if number else None


def register(files: Files, facts: Facts, contents: Contents, key: str | None = None) -> ModelRecord:
    """Make a new version; with a `run_key`, find or finish the version that this key has."""
    version = _claim(files, facts.name, key)
    folder = layout.model_version(facts.name, version)
    if not files.exists(f"{folder}/{_MODEL}"):
        entries: dict[str, Entry] = {}
        for path, source in contents.sources.items():
            _copy(files, source, f"{folder}/files/{path}")
            entries[path] = _entry(files, f"{folder}/files/{path}")
        record = ModelRecord(
            version=version,
            created_time=protocol.timestamp(),
            root=contents.root,
            files=entries,
            **vars(facts),
        )
        files.create_json(f"{folder}/{_MODEL}", record.to_json())
    return get(files, facts.name, version)


def names(files: Files) -> list[str]:
    """Names that have been registered, deleted ones too."""
    return files.list(layout.models())


def versions(files: Files, name: str) -> Iterator[ModelRecord]:
    """Existing versions of a model, newest first."""
    for version in reversed(_folders(files, name)):
        if (record := _read(files, name, version)) is not None:
            yield record


def get(files: Files, name: str, version: int | None = None) -> ModelRecord:
    """One version; the newest when none is named.

    :raises ModelNotFound: there is no such version, or it was deleted.
    """
    check_name(name)
    if version is not None and (record := _read(files, name, version)) is not None:
        return record
    newest = next(versions(files, name), None)
    if newest is None:
        raise ModelNotFound(
            f"there is no model {name} in {files.uri}; `airflow-train models list` shows those that are."
        )
    if version is not None:
        raise ModelNotFound(f"model {name} has no version {version}; its newest is {newest.version}.")
    return newest


def change(files: Files, name: str, version: int, changes: Mapping[str, Any]) -> ModelRecord:
    """Write down a change (`tags`, `replace_tags`, `remove_tags`, `properties`, `description`).

    :raises ModelNotFound: as `get`.
    """
    get(files, name, version)
    folder = f"{layout.model_version(name, version)}/changes"
    entry = layout.as_json({"at": protocol.timestamp(), "token": secrets.token_hex(8), **changes})
    files.next_number(folder, lambda _: entry)
    return get(files, name, version)


def delete(files: Files, name: str, version: int) -> None:
    """Remove a version's files; its number stays taken.

    :raises ModelNotFound: as `get`.
    """
    get(files, name, version)
    folder = layout.model_version(name, version)
    files.create_json(f"{folder}/{_DELETED}", {"at": protocol.timestamp()})
    files.delete_tree(f"{folder}/files")


def download(files: Files, record: ModelRecord, target: Path, *, exist_ok: bool = False) -> Path:
    """Copy a version's files into `target` and return the path of the file or folder that was registered.

    Nothing appears there before all digests are checked.

    :raises ModelError: it exists already, or a file is missing or not what was registered.
    """
    final = target.expanduser().absolute() / record.root
    if not exist_ok and os.path.lexists(final):
        raise ModelError(
            f"{final} exists already; pass exist_ok=True to overwrite it, or choose another folder."
        )
    final.parent.mkdir(parents=True, exist_ok=True)
    folder = f"{layout.model_version(record.name, record.version)}/files"
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=".airflow-train-tmp-") as aside:
        for path, entry in record.files.items():
            copy = Path(aside, path)
            try:
                files.copy_out(f"{folder}/{path}", copy)
            except FileNotFoundError:
                raise ModelError(_damaged(record, path, "is missing from the store")) from None
            if _digest(copy) != entry.sha256:
                raise ModelError(_damaged(record, path, "isn't what was registered (its SHA-256 differs)"))
        for path in record.files:
            (final.parent / path).parent.mkdir(parents=True, exist_ok=True)
            Path(aside, path).replace(final.parent / path)
    return final


def _damaged(record: ModelRecord, path: str, finding: str) -> str:
    return f"{path} of model {record.name}:{record.version} {finding}; restore the store or register the model again."


def _folders(files: Files, name: str) -> list[int]:
    return sorted(int(one) for one in files.list(layout.model(name)) if one.isdecimal())


def _read(files: Files, name: str, version: int) -> ModelRecord | None:
    folder = layout.model_version(name, version)
    there = files.list(folder)
    if _MODEL not in there or _DELETED in there:
        return None
    record = ModelRecord.from_json(files.read_json(f"{folder}/{_MODEL}"))
    if "changes" not in there:
        return record
    changes = files.numbers(f"{folder}/changes")
    return record.changed_by(files.read_json(layout.numbered(f"{folder}/changes", n)) for n in changes)


def _by_run(files: Files, name: str, key: str) -> tuple[int, int]:
    """Number of the newest entry of a key and its version; 0, 0 when there is none or the version was deleted."""
    folder = f"{layout.model(name)}/by_run/{key}"
    number = max(files.numbers(folder), default=0)
    return number, int(files.read_json(layout.numbered(folder, number))["version"]) if number else 0


def _claim(files: Files, name: str, key: str | None) -> int:
    """Take a version; a key that has one, finished or not, gets it again unless it was deleted."""
    while key is not None:
        number, version = _by_run(files, name, key)
        if number and not files.exists(f"{layout.model_version(name, version)}/{_DELETED}"):
            return version
        version = _take(files, name, key)
        entry = layout.numbered(f"{layout.model(name)}/by_run/{key}", number + 1)
        if files.create_json(entry, {"version": version}):
            return version
    return _take(files, name, secrets.token_hex(16))


def _take(files: Files, name: str, key: str) -> int:
    """Claim the next number, or find the claim that this key left when it was killed before it could say so."""
    version = 1
    for taken in reversed(_folders(files, name)):
        folder = layout.model_version(name, taken)
        finished = files.exists(f"{folder}/{_MODEL}")
        claimed_by = None if finished else _claimed_by(files, folder)
        if claimed_by == key:
            return taken
        if finished or claimed_by:  # a folder without a claim is what a kill left of an attempt to claim it
            version = max(version, taken + 1)
        if finished:
            break
    claim = {"key": key, "at": protocol.timestamp(), "token": secrets.token_hex(8)}
    while not files.create_json(f"{layout.model_version(name, version)}/{_CLAIM}", claim):
        if _claimed_by(files, layout.model_version(name, version)) == key:
            return version
        version += 1
    return version


def _claimed_by(files: Files, folder: str) -> str | None:
    claim = files.read_json_or_none(f"{folder}/{_CLAIM}")
    return None if claim is None else str(claim["key"])


def _copy(files: Files, source: str | Path, target: str) -> None:
    """What is there already was copied by an earlier attempt at the same version."""
    if isinstance(source, str) and files.local_root is not None:
        source = files.local_root / source
    if isinstance(source, Path):
        files.copy_in(source, target)
        return
    with tempfile.TemporaryDirectory() as folder:
        files.copy_out(source, Path(folder, "file"))
        files.copy_in(Path(folder, "file"), target)


def _entry(files: Files, name: str) -> Entry:
    """Size and digest of what lies in the store."""
    if files.local_root is not None:
        stored = files.local_root / name
        return Entry(_digest(stored), stored.stat().st_size)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "file")
        files.copy_out(name, copy)
        return Entry(_digest(copy), copy.stat().st_size)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
