"""`Run`: the handle that people hold, in notebooks, tests and DAG files. It keeps an id and a store, nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_train.exceptions import FileNotInRun
from airflow_train.lifecycle import cancel as cancelling
from airflow_train.lifecycle import observe, said, wait
from airflow_train.lifecycle.child import ChildRun, children
from airflow_train.lifecycle.follow import Follower, LogLine
from airflow_train.lifecycle.narrate import Narrator
from airflow_train.runs import metrics
from airflow_train.runs.phases import Phase
from airflow_train.runs.status import Status
from airflow_train.runs.verdict import Verdict
from airflow_train.store import artifacts, layout, snapshots
from airflow_train.store.files import Files
from airflow_train.store.run_store import RunStore, RunSummary, open_store

if TYPE_CHECKING:
    from airflow_train.models.model import Model


class Run:
    """One run, found by its id.

    :param run_id: as `airflow-train runs list` shows it.
    :param store: run store or its URI; `[train] store` by default.
    :raises RunNotFound: there is no such run.
    """

    def __init__(self, run_id: str, store: RunStore | str | None = None) -> None:
        self._store = store if isinstance(store, RunStore) else open_store(store)
        self._spec = self._store.spec(run_id)

    def __repr__(self) -> str:
        return f"Run(id={self.id!r}, experiment={self.experiment!r}, status={self.get_status()!r})"

    @property
    def id(self) -> str:
        """Id of the run."""
        return self._spec.run_id

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return self._spec.experiment

    @property
    def tags(self) -> dict[str, str]:
        """Tags as they stand now."""
        return self._store.tags(self._spec)

    @property
    def properties(self) -> dict[str, str]:
        """Facts that never change: snapshot, git, host, and what the script added."""
        return metrics.fold_properties(self._spec.properties, self._store.metric_lines(self.id))

    @property
    def files(self) -> Files:
        """The files of the run store."""
        return self._store.files

    @property
    def outputs_uri(self) -> str:
        """Where `./outputs` of the script is kept."""
        return self._store.files.join(layout.outputs(self.id))

    @property
    def logs_uri(self) -> str:
        """Where the output of the ranks is kept."""
        return self._store.files.join(layout.user_logs(self.id))

    def get_status(self) -> Status:
        """The status now; a run whose processes have died is judged by this call."""
        return observe.look(self._store, self.id).status

    def get_phases(self) -> list[Phase]:
        """What the run has waited for and waits for now: name, reason, since, until and limit of each phase."""
        return list(observe.look(self._store, self.id).record.phases)

    def summary(self) -> RunSummary:
        """Status, times, last metrics and error."""
        observe.look(self._store, self.id)
        found = self._store.summary(self.id)
        assert found is not None  # __init__ has read its spec
        return found

    def verdict(self) -> Verdict | None:
        """How the run ended; None while it goes on."""
        record = observe.look(self._store, self.id).record
        return Verdict.from_json(record.verdict) if record.verdict is not None else None

    def wait_for_completion(
        self,
        show_output: bool = False,
        wait_post_processing: bool = False,
        raise_on_error: bool = True,
        timeout: float | None = None,
    ) -> Status:
        """Wait for the end; returns the status, which isn't terminal when `timeout` seconds have passed first.

        :param show_output: print phases and the lines of all ranks as they come.
        :param wait_post_processing: has no effect: outputs are always waited for.
        :raises RunNotCompleted: the run ended as Failed or Canceled and `raise_on_error` is set; the class says why.
        """
        del wait_post_processing
        follower, narrator = Follower(self._store, self.id), Narrator()

        def show(view: observe.View) -> None:
            for words in narrator.news(view):
                sys.stdout.write(f"{self.id}: {words}\n")
            for line in follower.drain() if view.terminal else follower.poll():
                sys.stdout.write(f"[{line.rank}] {line.text}\n")

        view = wait.wait(self._store, self.id, timeout=timeout, on_look=show if show_output else None)
        verdict = self.verdict()
        problem = wait.error(self.id, verdict) if verdict is not None else None
        if problem is not None and raise_on_error:
            raise problem
        return view.status

    def cancel(self, reason: str = "") -> None:
        """Ask the run to stop: TERM to the script, KILL to everything after `grace_seconds`."""
        cancelling.cancel(self._store, self.id, reason)

    def get_metrics(self, name: str | None = None) -> dict[str, Any]:
        """What the script logged: one value, or a list when it was logged several times; tables by column."""
        return metrics.fold(self._store.metric_lines(self.id), name)

    def get_system_metrics(self, name: str | None = None) -> dict[str, Any]:
        """What each node used: `system/cpu_percent/node0` (100 is one processor) and `system/memory_bytes/node0`."""
        return metrics.fold(self._store.metric_lines(self.id, system=True), name)

    def get_children(self, recursive: bool = False) -> list[ChildRun]:
        """Child runs that the script made, in that order; `recursive` adds their own children after each."""
        return list(children(self, recursive=recursive))

    def tag(self, key: str, value: str | None = None) -> None:
        """Set one tag, to an empty text where no value is given.

        :raises DefinitionError: the value isn't text or a number.
        """
        self.set_tags({key: "" if value is None else value})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set several tags.

        :raises DefinitionError: they are no mapping of names to text.
        """
        self._store.change_tags(self.id, said.tags(f"Run {self.id}", tags))

    def remove_tags(self, keys: str | Iterable[str]) -> None:
        """Remove one tag or several; those that aren't there are passed over."""
        self._store.change_tags(self.id, {}, (keys,) if isinstance(keys, str) else tuple(keys))

    def logs(self, rank: int | None = None) -> Iterator[LogLine]:
        """Output of all ranks, or of one, as far as it has come."""
        return Follower(self._store, self.id, rank).drain()

    def get_file_names(self) -> list[str]:
        """Names of all files of the run: outputs, logs, uploads."""
        return [name for name, _ in artifacts.names(self._store.files, self.id)]

    def download_file(self, name: str, output_file_path: str | None = None) -> Path:
        """Copy one file; into the current folder by default, into a folder when one is named.

        :raises FileNotInRun: no such file; the message lists those that are there.
        """
        target = Path(output_file_path or ".")
        target = target / Path(name).name if target.is_dir() else target
        return artifacts.download_file(self._store.files, self.id, name, target)

    def download_files(self, prefix: str = "", output_directory: str = ".") -> list[Path]:
        """Copy all files below `prefix`, which stays part of their paths.

        :raises FileNotInRun: nothing lies below that prefix.
        """
        return artifacts.download(self._store.files, self.id, prefix, Path(output_directory))

    def upload_file(self, name: str, path: str) -> None:
        """Add a file to the run.

        :raises AlreadyExists: the run has a file of that name.
        :raises FileNotInRun: there is nothing at `path`.
        """
        if not Path(path).is_file():
            raise FileNotInRun(f"{path} is no file, so it can't be uploaded as {name}; correct the path.")
        artifacts.upload(self._store.files, self.id, name, Path(path))

    def restore_snapshot(self, path: str) -> Path:
        """Lay the run's code out in an empty folder.

        :raises SnapshotError: the folder isn't empty, or the stored copy is damaged.
        """
        snapshots.restore(self._store.files, self._spec.snapshot["id"], Path(path))
        return Path(path)

    def register_model(
        self,
        model_name: str,
        model_path: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        description: str | None = None,
        datasets: None = None,
        sample_input_dataset: None = None,
        sample_output_dataset: None = None,
        resource_configuration: None = None,
    ) -> Model:
        """Register files of this run as the next version of a model; the same run and path again give the same version.

        :param model_path: a file or folder among `get_file_names()`; the model's name by default.
        :param model_framework: that of the run's estimator by default, with its version.
        :param datasets: must be empty, as all that follow.
        :raises ModelError: the name is no model name, or there is nothing at `model_path`.
        """
        from airflow_train.lifecycle import registrations
        from airflow_train.models.registration import register_from_run

        kept = {"datasets": datasets, "sample_input_dataset": sample_input_dataset}
        kept |= {"sample_output_dataset": sample_output_dataset}
        said.nothing_else(model_name, {**kept, "resource_configuration": resource_configuration})
        own = self._spec.job.get("framework")
        framework = model_framework or own
        if model_framework_version is None and framework == own:
            model_framework_version = self._spec.job.get("framework_version")
        return register_from_run(
            self._store.files,
            self.id,
            model_name,
            model_path,
            tags=tags,
            properties=properties,
            model_framework=framework,
            model_framework_version=model_framework_version,
            description=description,
            lineage=registrations.lineage(self._spec),
        )

    def failed_registrations(self) -> list[str]:
        """Why models that the script asked for weren't registered, one sentence each."""
        from airflow_train.lifecycle import registrations

        return registrations.failures(self._store, self.id)
