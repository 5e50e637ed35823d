"""`Experiment`: a name under which runs are submitted and found again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_train import definitions
from airflow_train.exceptions import DefinitionError
from airflow_train.lifecycle import observe, said
from airflow_train.lifecycle import secrets as keeping
from airflow_train.lifecycle.run import Run
from airflow_train.lifecycle.submit import submit
from airflow_train.store.run_store import RunStore, open_store

#: What a submit may change of a definition, as in Azure ML.
_OVERRIDES = ("script_params", "inputs", "source_directory_data_store")


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
        self._store = store if isinstance(store, RunStore) else open_store(store)

    def __repr__(self) -> str:
        return f"Experiment({self.name!r})"

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
            self._store,
            changed,
            experiment=self.name,
            tags=own,
            compute_target=compute_target,
            secrets=self._secrets,
        )
        return Run(spec.run_id, self._store)

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

    def get_runs(self, status: str | None = None) -> Iterator[Run]:
        """Runs of this experiment, newest first.

        :param status: only those of this status, in upper or lower case.
        :raises DefinitionError: there is no such status.
        """
        wanted = None if status is None else said.status("status", status)
        observe.refresh(self._store)
        found = self._store.list_runs(limit=None, experiment=self.name, status=wanted)
        return (Run(summary.run_id, self._store) for summary in found)
