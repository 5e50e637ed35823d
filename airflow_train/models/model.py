"""`Model`: a version of a model, as people hold it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from airflow_train.exceptions import ModelError, ModelNotFound
from airflow_train.models import contents, registry, search
from airflow_train.models.record import ModelRecord
from airflow_train.models.search import Filter
from airflow_train.store.files import Files
from airflow_train.store.run_store import open_store


class Model:
    """A registered model: `Model("digits")` is its newest version, `Model("digits", version=3)` that one.

    `tags`, `properties` and `run_id` narrow it down: the newest version that has them all. A filter is a dict, or a
    list of keys and `[key, value]` pairs. `store` is a path or URI; by default the configured run store.

    :raises ModelNotFound: there is none.
    :raises ModelError: the name can't be a model's, or neither name, id nor filter is given.
    """

    class Framework:
        """Names of frameworks for `model_framework`; any other text is taken as well."""

        CUSTOM = "Custom"
        TENSORFLOW = "TensorFlow"
        SCIKITLEARN = "ScikitLearn"
        ONNX = "Onnx"
        TFKERAS = "TfKeras"
        PYTORCH = "PyTorch"
        MULTI = "Multi"

    def __init__(
        self,
        name: str | None = None,
        *,
        version: int | str | None = None,
        id: str | None = None,  # noqa: A002 - Azure ML's name
        tags: Filter = None,
        properties: Filter = None,
        run_id: str | None = None,
        store: str | None = None,
    ) -> None:
        if id is not None:
            name, version = search.parse_id(id)
        number = search.number(version)
        self._files = open_store(store).files
        if tags is None and properties is None and run_id is None and name is not None:
            self._record = registry.get(self._files, name, number)
            return
        if not (name or tags or properties or run_id):
            raise ModelError(
                "Model() names no model; give a name, an id as 'name:version', tags, properties or a run_id."
            )
        found = search.matching(self._files, name, tags, properties, run_id)
        if not (found := [one for one in found if number in (None, one.version)]):
            raise ModelNotFound(
                f"there is no model with name {name!r}, version {version}, tags {tags!r}, properties {properties!r} "
                f"and run_id {run_id!r} in {self._files.uri}; `airflow-train models list` shows those that are."
            )
        self._record = found[0]

    @classmethod
    def of(cls, files: Files, record: ModelRecord) -> Model:
        """The handle of a version that was read or made already."""
        model = cls.__new__(cls)
        model._files, model._record = files, record  # noqa: SLF001 - its own
        return model

    @classmethod
    def list(
        cls,
        name: str | None = None,
        *,
        tags: Filter = None,
        properties: Filter = None,
        run_id: str | None = None,
        latest: bool = False,
        store: str | None = None,
    ) -> list[Model]:
        """Versions of one model or of all, newest first; `latest` keeps the newest of each name that matches."""
        files = open_store(store).files
        found = search.matching(files, name, tags, properties, run_id)
        if latest:
            newest: dict[str, ModelRecord] = {}
            for record in found:
                if record.version > newest.setdefault(record.name, record).version:
                    newest[record.name] = record
            found = [record for record in found if newest[record.name] is record]
        return [cls.of(files, record) for record in found]

    @classmethod
    def register(
        cls,
        model_path: str | os.PathLike[str],
        model_name: str,
        *,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        description: str | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        store: str | None = None,
    ) -> Model:
        """Register a local file or folder as the next version of `model_name`.

        :raises ModelError: there is nothing at `model_path`, or a value breaks a rule.
        """
        facts = registry.Facts(
            model_name,
            tags=tags,
            properties=properties,
            description=description,
            framework=model_framework,
            framework_version=model_framework_version,
            model_path=os.fspath(model_path),
        )
        found = contents.of_local_path(model_path)
        opened = open_store(store)
        opened.prepare()
        return cls.of(opened.files, registry.register(opened.files, facts, found))

    @property
    def id(self) -> str:
        """`name:version`."""
        return f"{self.name}:{self.version}"

    @property
    def url(self) -> str:
        """`airflow-train://models/NAME/VERSION`, also the name of its Airflow asset."""
        return f"airflow-train://models/{self.name}/{self.version}"

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._record.name

    @property
    def version(self) -> int:
        """1 for the first version of a name; numbers of deleted versions aren't used again."""
        return self._record.version

    @property
    def created_time(self) -> str:
        """When it was registered: UTC, ISO 8601."""
        return self._record.created_time

    @property
    def description(self) -> str | None:
        """Text for people."""
        return self._record.description

    @property
    def tags(self) -> dict[str, str]:
        """Tags, which may change."""
        return dict(self._record.tags)

    @property
    def properties(self) -> dict[str, str]:
        """Properties, which are added and never changed."""
        return dict(self._record.properties)

    @property
    def framework(self) -> str | None:
        """Framework the model was made with."""
        return self._record.framework

    @property
    def framework_version(self) -> str | None:
        """Version of that framework."""
        return self._record.framework_version

    @property
    def lineage(self) -> dict[str, Any]:
        """Where it comes from: `run_id`, `experiment`, `snapshot_id`, `git_commit`, as far as known."""
        return dict(self._record.lineage)

    @property
    def run_id(self) -> str | None:
        """The run that made it; None for a model registered from a local path."""
        return self._record.lineage.get("run_id")

    @property
    def experiment_name(self) -> str | None:
        """Experiment of that run."""
        return self._record.lineage.get("experiment")

    @property
    def snapshot_id(self) -> str | None:
        """Snapshot of the source code of that run."""
        return self._record.lineage.get("snapshot_id")

    @property
    def git_commit(self) -> str | None:
        """Git commit of that source code."""
        return self._record.lineage.get("git_commit")

    @property
    def files(self) -> dict[str, int]:
        """Its files as {path: bytes}."""
        return {path: entry.size for path, entry in self._record.files.items()}

    def to_dict(self) -> dict[str, Any]:
        """Everything about this version as plain data."""
        return {"id": self.id, "url": self.url, **self._record.to_json()}

    def download(self, target_dir: str | os.PathLike[str] = ".", exist_ok: bool = False) -> str:
        """Copy the model into `target_dir` and return the path of the file or folder that was registered.

        Nothing appears there before every file has the digest that it was registered with.

        :raises ModelError: it exists there and `exist_ok` is False, or a file isn't what was registered.
        """
        return str(registry.download(self._files, self._record, Path(target_dir), exist_ok=exist_ok))

    def delete(self) -> None:
        """Remove this version and its files; its number isn't used again.

        :raises ModelNotFound: it is gone already.
        """
        registry.delete(self._files, self.name, self.version)

    def add_tags(self, tags: Mapping[str, Any]) -> None:
        """Set these tags; others stay."""
        self._change({"tags": registry.as_texts("tags", tags)})

    def remove_tags(self, tags: str | Iterable[str]) -> None:
        """Remove the tags of these names."""
        self._change({"remove_tags": [tags] if isinstance(tags, str) else [str(tag) for tag in tags]})

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Add properties.

        :raises ModelError: one of them has another value already.
        """
        added = registry.as_texts("properties", properties)
        self._change({"properties": added})
        for key, value in added.items():
            if self._record.properties[key] != value:
                raise ModelError(
                    f"property {key!r} of model {self.id} is {self._record.properties[key]!r} and never changes; add "
                    f"{value!r} under another name, or as a tag."
                )

    def update(self, *, tags: Mapping[str, Any] | None = None, description: str | None = None) -> None:
        """Replace all tags, the description, or both; what is None stays."""
        changes: dict[str, Any] = {}
        if tags is not None:
            changes |= {"tags": registry.as_texts("tags", tags), "replace_tags": True}
        if description is not None:
            changes["description"] = description
        self._change(changes)

    def _change(self, changes: Mapping[str, Any]) -> None:
        self._record = registry.change(self._files, self.name, self.version, changes)

    def __repr__(self) -> str:
        return f"Model(name={self.name!r}, version={self.version})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and (self._files.uri, self.id) == (other._files.uri, other.id)

    def __hash__(self) -> int:
        return hash((self._files.uri, self.id))
