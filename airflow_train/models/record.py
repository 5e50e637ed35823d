"""One version of a model as it is written down: `model.json` once, then numbered changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One file of a model."""

    sha256: str
    size: int


@dataclass(frozen=True)
class ModelRecord:
    """What `model.json` holds. Paths in `files` are relative and start with `root`."""

    name: str
    version: int
    #: UTC, ISO 8601.
    created_time: str
    #: Name of the file or folder that was registered; a download makes it in the target folder.
    root: str
    files: Mapping[str, Entry]
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    framework: str | None = None
    framework_version: str | None = None
    #: The path among the run's files, or the local path, that was registered.
    model_path: str = ""
    #: Where it comes from: `run_id`, `experiment`, `snapshot_id`, `git_commit` as far as known.
    lineage: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())

    def to_json(self) -> dict[str, Any]:
        """Plain data; the inverse of `from_json`."""
        data = {one.name: getattr(self, one.name) for one in fields(self)}
        data["files"] = {name: {"sha256": e.sha256, "size": e.size} for name, e in self.files.items()}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelRecord:
        """Rebuild a record; what a later version added is left out."""
        known = {one.name: data[one.name] for one in fields(cls) if one.name in data}
        known["files"] = {name: Entry(**entry) for name, entry in data["files"].items()}
        return cls(**known)

    def changed_by(self, changes: Iterable[Mapping[str, Any]]) -> ModelRecord:
        """The record after numbered changes, oldest first; a property keeps its first value."""
        tags, properties, description = dict(self.tags), dict(self.properties), self.description
        for change in changes:
            if change.get("replace_tags"):
                tags.clear()
            tags.update(change.get("tags") or {})
            for key in change.get("remove_tags") or ():
                tags.pop(key, None)
            properties = {**(change.get("properties") or {}), **properties}
            description = change.get("description", description)
        return replace(self, tags=tags, properties=properties, description=description)
