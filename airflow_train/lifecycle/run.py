"""`Run`: the handle that people hold, in notebooks, tests and DAG files. It keeps an id and a store, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_train.exceptions import RunNotFound, WaitInterrupted
from airflow_train.lifecycle import cancel as cancelling
from airflow_train.lifecycle import html, observe, said, wait
from airflow_train.lifecycle.child import SUBMITTED, ChildRun, children, matches, of_all
from airflow_train.lifecycle.details import details
from airflow_train.lifecycle.files import RunFiles
from airflow_train.lifecycle.follow import Follower, LogLine
from airflow_train.lifecycle.streaming import Stream
from airflow_train.runs import metrics
from airflow_train.runs.phases import Phase
from airflow_train.runs.status import Status
from airflow_train.runs.verdict import Verdict
from airflow_train.store import layout, snapshots
from airflow_train.store.files import Files
from airflow_train.store.run_store import RunStore, RunSummary, open_store

if TYPE_CHECKING:
    from airflow_train.models.model import Model


class Run(RunFiles):
    """One run, found by its id: `Run("digits-abc")`, or `Run(experiment, "digits-abc")` as in Azure ML.

    :param run_id: as `airflow-train runs list` shows it.
    :param store: run store or its URI; that of the experiment, else `[train] store` by default.
    :raises RunNotFound: there is no such run, or the experiment has none of that id.
    """

    type = SUBMITTED
    #: A run that was submitted is nobody's child.
    parent = None

    def __init__(self, *of: Any, run_id: str | None = None, store: RunStore | str | None = None) -> None:
        experiment, run_id, store = said.which_run(of, run_id, store)
        self._store = store if isinstance(store, RunStore) else open_store(store)
        self._spec = self._store.spec(run_id)
        if experiment not in (None, self._spec.experiment):
            raise RunNotFound(
                f"experiment {experiment} has no run {run_id}, which belongs to {self._spec.experiment}; "
                f"use Experiment({self._spec.experiment!r})."
            )

    @classmethod
    def get(cls, run_id: str, store: RunStore | str | None = None) -> Run:
        """The run of that id.

        :raises RunNotFound: there is no such run.
        """
        return cls(run_id, store)

    def __repr__(self) -> str:
        return f"Run(id={self.id!r}, experiment={self.experiment!r}, status={self.get_status()!r})"

    def _repr_html_(self) -> str:
        summary = self.summary()
        own = html.row(summary, self.get_status())
        return html.table(("Experiment", *html.HEADERS), [(summary.experiment, *own)])

    @property
    def id(self) -> str:
        """Id of the run."""
        return self._spec.run_id

    display_name = id  # noqa: A003 - the property above

    @property
    def experiment(self) -> said.ExperimentName:
        """Name of the experiment."""
        return said.ExperimentName(self._spec.experiment)

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

    def get_details(self) -> dict[str, Any]:
        """Everything about the run, by Azure ML's keys.

        `runId`, `target`, `status`, `startTimeUtc`, `endTimeUtc` when it has ended, `error` when it failed, `warnings`,
        `properties`, `runDefinition`, `logFiles` (name → URI), `submittedBy`, and others that are empty here.
        """
        return details(self._store, observe.look(self._store, self.id))

    def get_detailed_status(self) -> dict[str, str]:
        """`status`, and as `details` why the run stands where it does."""
        view = observe.look(self._store, self.id)
        return {"status": view.status, "details": view.record.reason}

    def wait_for_completion(
        self,
        show_output: bool = False,
        wait_post_processing: bool = False,
        raise_on_error: bool = True,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Wait for the end; returns `get_details()`.

        :param timeout: seconds after which that is returned although the run goes on.
        :param show_output: print phases and the lines of all ranks as they come, and a summary at the end.
        :param wait_post_processing: has no effect: outputs are always waited for.
        :raises RunNotCompleted: the run ended as Failed or Canceled and `raise_on_error` is set; the class says why.
        :raises WaitInterrupted: Ctrl-C; the run goes on.
        """
        del wait_post_processing
        stream = Stream(self._store, self.id) if show_output else None
        try:
            view = wait.wait(self._store, self.id, timeout=timeout, on_look=stream.show if stream else None)
        except KeyboardInterrupt as error:
            raise WaitInterrupted(
                f"Waiting for run {self.id} was interrupted, but the run goes on; "
                f"Run({self.id!r}).wait_for_completion() waits again, .cancel() stops it."
            ) from error
        if stream is not None:
            stream.end(view)
        verdict = self.verdict()
        problem = wait.error(self.id, verdict) if verdict is not None else None
        if problem is not None and raise_on_error:
            raise problem
        return details(self._store, view)

    def cancel(self, reason: str = "") -> None:
        """Ask the run to stop: TERM to the script, KILL to everything after `grace_seconds`."""
        cancelling.cancel(self._store, self.id, reason)

    def get_metrics(
        self,
        name: str | None = None,
        recursive: bool = False,
        run_type: str | None = None,
        populate: bool = False,
    ) -> dict[str, Any]:
        """What the script logged: one value, or a list when it was logged several times; tables by column.

        :param recursive: `{run id: metrics}` of this run and all children below it.
        :param run_type: with `recursive`, only runs of this type (`type`).
        :param populate: has no effect: images are file names of the run in any case.
        """
        del populate
        own = metrics.fold(self._store.metric_lines(self.id), name)
        return of_all(self, own, name, run_type) if recursive else own

    def get_system_metrics(self, name: str | None = None) -> dict[str, Any]:
        """What each node used: `system/cpu_percent/node0` (100 is one processor) and `system/memory_bytes/node0`."""
        return metrics.fold(self._store.metric_lines(self.id, system=True), name)

    def get_children(
        self,
        recursive: bool = False,
        tags: str | Mapping[str, str] | None = None,
        properties: str | Mapping[str, str] | None = None,
        type: str | None = None,  # noqa: A002 - the original's name
        status: str | None = None,
    ) -> list[ChildRun]:
        """Child runs that the script made, in that order; `recursive` adds their own children after each.

        :param tags: only those that have a tag of that name, or these tags with these values; `properties` likewise.
        :raises DefinitionError: there is no such status.
        """
        found = children(self, recursive=recursive)
        return [one for one in found if matches(one, tags, properties, type, status)]

    def get_tags(self) -> dict[str, str]:
        """As `tags`."""
        return self.tags

    def get_properties(self) -> dict[str, str]:
        """As `properties`."""
        return self.properties

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

    def logs(self, rank: int | None = None, *, node: int | None = None) -> Iterator[LogLine]:
        """Output of all ranks, of one (counted over all nodes), or of those of one node, as far as it has come."""
        observe.look(self._store, self.id)  # what was written far from the store comes home by this
        return Follower(self._store, self.id, rank, node).drain()

    def _place(self) -> tuple[Files, str, str]:
        return self.files, self.id, ""

    def get_snapshot_id(self) -> str:
        """Id of the code that travelled; the same tree has the same."""
        return str(self._spec.snapshot["id"])

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
        framework, version = registrations.framework(self._spec, model_framework, model_framework_version)
        return register_from_run(
            self._store.files,
            self.id,
            model_name,
            model_path,
            tags=tags,
            properties=properties,
            model_framework=framework,
            model_framework_version=version,
            description=description,
            lineage=registrations.lineage(self._spec),
        )

    def failed_registrations(self) -> list[str]:
        """Why models that the script asked for weren't registered, one sentence each."""
        from airflow_train.lifecycle import registrations

        return registrations.failures(self._store, self.id)
