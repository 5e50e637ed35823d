"""`Experiment`: a name under which runs are submitted and found again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_train import definitions
from airflow_train.exceptions import DefinitionError
from airflow_train.lifecycle import html, observe, said
from airflow_train.lifecycle import secrets as keeping
from airflow_train.lifecycle.child import ChildRun, matches
from airflow_train.lifecycle.run import Run
from airflow_train.lifecycle.submit import submit
from airflow_train.store.run_store import RunStore, open_store

#: What a submit may change of a definition, as in Azure ML.
_OVERRIDES = ("script_params", "inputs", "source_directory_data_store")

#: So many of its newest runs a notebook shows.
_SHOWN = 10


class Experiment:
    """Runs of one name.

    :param name: ASCII letters, digits, `_` and `-`, 255 at most.
    :param store: run store or its URI; `[train] store` by default.
    :param secrets: where secrets of definitions come from; this process's environment, `env:NAME`, by default.
        `airflow_train.tasks.secrets.source()` reads Airflow's connections and variables too.
    :raises DefinitionError: the name isn't one.
    """

    def __init__(
        self,
        name: str,
        store: RunStore | str | None = None,
        secrets: keeping.Source = keeping.ENVIRONMENT,
    ) -> None:
        self._secrets = secrets
        self.name = said.experiment(name)
        self.store = store if isinstance(store, RunStore) else open_store(store)

    def __repr__(self) -> str:
        return f"Experiment({self.name!r})"

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Experiment) and self.name == other.name
        return same and self.store.uri == other.store.uri  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((self.name, self.store.uri))

    def _repr_html_(self) -> str:
        observe.refresh(self.store)
        found = self.store.list_runs(limit=_SHOWN, experiment=self.name)
        caption = f"Experiment {self.name}" + ("" if found else ": no runs yet")
        return html.table(html.HEADERS, (html.row(one) for one in found), caption)

    def submit(
        self,
        definition: Any,
        tags: Mapping[str, str] | None = None,
        compute_target: Any = None,
        **overrides: Any,
    ) -> Run:
        """Start a run of a definition, its plain data or its YAML file.

        :param overrides: `script_params`, which are added to those of an estimator and replace those of the same name,
            and `inputs`, which replace its own; the definition itself stays as it is.
        :raises DefinitionError: the definition or its files are wrong, or it belongs to another experiment.
        :raises UnsupportedByTarget: the compute target can't honour it.
        """
        own = said.tags(f"Experiment {self.name}", tags) if tags is not None else None
        changed = self._changed(definitions.load(definition), overrides)
        spec = submit(
            self.store,
            changed,
            experiment=self.name,
            tags=own,
            compute_target=compute_target,
            secrets=self._secrets,
        )
        return Run(spec.run_id, self.store)

    def _changed(self, loaded: definitions.Runnable, overrides: Mapping[str, Any]) -> definitions.Runnable:
        if loaded.experiment not in (None, self.name):
            raise DefinitionError(
                f"the definition's experiment is {loaded.experiment} but it is submitted to {self.name}; "
                f"leave it out, or submit it to Experiment({loaded.experiment!r})."
            )
        for name, value in overrides.items():
            if name not in _OVERRIDES:
                raise DefinitionError(
                    f"{name} can't be changed by submit, which takes {', '.join(_OVERRIDES)}; "
                    "write it into the definition."
                )
            added = name == "script_params" and isinstance(value, Mapping)
            old = getattr(loaded, name, None) if added else None
            setattr(loaded, name, {**(old or {}), **value} if added else value)
        return loaded

    def get_runs(
        self,
        type: str | None = None,  # noqa: A002 - the original's name
        tags: str | Mapping[str, str] | None = None,
        properties: str | Mapping[str, str] | None = None,
        include_children: bool = False,
        status: str | None = None,
    ) -> Iterator[Run | ChildRun]:
        """Runs of this experiment, newest first.

        :param tags: only those that have a tag of that name, or these tags with these values; `properties` likewise.
        :param include_children: each is followed by the child runs that its script made.
        :param status: only those of this status, in upper or lower case.
        :raises DefinitionError: there is no such status.
        """
        wanted = None if status is None else said.status("status", status)
        observe.refresh(self.store)
        found = self.store.list_runs(
            limit=None, experiment=self.name, status=None if include_children else wanted
        )
        return (
            one
            for summary in found
            for one in _with_children(Run(summary.run_id, self.store), include_children)
            if matches(one, tags, properties, type, wanted if include_children else None)
        )


def _with_children(run: Run, wanted: bool) -> Iterator[Run | ChildRun]:
    yield run
    if wanted:
        yield from run.get_children(recursive=True)
