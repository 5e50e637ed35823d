"""`Experiment`: a name under which runs are submitted and found again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_train.exceptions import DefinitionError
from airflow_train.lifecycle import observe
from airflow_train.lifecycle.run import Run
from airflow_train.lifecycle.submit import submit
from airflow_train.runs.status import Status
from airflow_train.store.run_store import RunStore, open_store

_NAME = re.compile(r"[a-zA-Z0-9][\w\-]{0,254}\Z")  # Azure ML's rule


class Experiment:
    """Runs of one name.

    :param name: letters, digits, `_` and `-`, 255 at most.
    :param store: run store or its URI; `[train] store` by default.
    :raises DefinitionError: the name isn't one.
    """

    def __init__(self, name: str, store: RunStore | str | None = None) -> None:
        if not _NAME.match(name):
            raise DefinitionError(
                f"the experiment name {name!r} must start with a letter or digit and hold only letters, digits, "
                "_ and -, 255 at most; rename it."
            )
        self.name = name
        self._store = store if isinstance(store, RunStore) else open_store(store)

    def __repr__(self) -> str:
        return f"Experiment({self.name!r})"

    def submit(
        self, definition: Any, tags: Mapping[str, str] | None = None, compute_target: Any = None
    ) -> Run:
        """Start a run of a definition, its plain data or its YAML file.

        :raises DefinitionError: the definition or its files are wrong.
        :raises UnsupportedByTarget: the compute target can't honour it.
        """
        spec = submit(self._store, definition, experiment=self.name, tags=tags, compute_target=compute_target)
        return Run(spec.run_id, self._store)

    def get_runs(self, status: Status | None = None) -> Iterator[Run]:
        """Runs of this experiment, newest first."""
        observe.refresh(self._store)
        for summary in self._store.list_runs(limit=None, experiment=self.name, status=status):
            yield Run(summary.run_id, self._store)
