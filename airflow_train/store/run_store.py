"""Runs in the store: created once, told about in numbered documents, judged once, listed newest first."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_train import config
from airflow_train.exceptions import RunNotFound, StoreError
from airflow_train.runs import ids, metrics
from airflow_train.runs import status as statuses
from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec
from airflow_train.runs.status import Status
from airflow_train.runs.verdict import Verdict
from airflow_train.runtime import protocol
from airflow_train.store import index, layout
from airflow_train.store.files import Files
from airflow_train.store.live import Live

FORMAT = 1


@dataclass(frozen=True)
class RunSummary:
    """One line of a listing."""

    run_id: str
    experiment: str
    status: Status
    created: str
    started: str | None = None
    ended: str | None = None
    #: Last scalar of each metric.
    metrics: Mapping[str, Any] | None = None
    tags: Mapping[str, str] | None = None
    target: str = ""
    error: str | None = None


def open_store(uri: str | None = None) -> RunStore:
    """The run store at `uri`, else at `[train] store`, else in the folder `train` of AIRFLOW_HOME.

    :raises StoreError: the store can't be used or was written by a later format.
    """
    return RunStore(Files.open(config.get("store", uri) or str(config.airflow_home() / "train")))


class RunStore:
    """All reading and writing of run documents below one URI."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.uri = files.uri

    def prepare(self) -> None:
        """Mark a new store with its format, and with an id that no other has.

        :raises StoreError: the store has another format.
        """
        if not self.files.create_json(layout.store_marker(), {"format": FORMAT, "id": uuid.uuid4().hex}):
            self.check_format()

    def identity(self) -> str:
        """What tells this store from all others: machines can have different ones at the same path. Its URI as long as
        nothing is in it."""
        return str((self.files.read_json_or_none(layout.store_marker()) or {}).get("id") or self.uri)

    def check_format(self) -> None:
        """Refuse a store of another format; one that doesn't exist yet is fine.

        :raises StoreError: it has another format.
        """
        marker = self.files.read_json_or_none(layout.store_marker())
        if marker is not None and marker.get("format") != FORMAT:
            raise StoreError(
                f"the run store {self.uri} has format {marker.get('format')}, this version of airflow-train writes "
                f"format {FORMAT}; upgrade airflow-train or choose another [train] store."
            )

    # ------------------------------------------------------------------ one run

    def create(self, spec: RunSpec) -> bool:
        """Bring a run into being; False when a run of that id is there already.

        The index entry comes first: one without a run is passed over, a run without one would never be listed.
        """
        self.prepare()
        index.add(self.files, spec.run_id, spec.experiment, spec.created)
        return self.files.create_json(layout.spec(spec.run_id), spec.to_json())

    def exists(self, run_id: str) -> bool:
        """Is there a run of that id?"""
        return ids.problem(run_id) is None and self.files.exists(layout.spec(run_id))

    def spec(self, run_id: str) -> RunSpec:
        """What was submitted under that id.

        :raises RunNotFound: no such run, or not a run id at all.
        """
        if problem := ids.problem(run_id):
            raise RunNotFound(problem)
        data = self.files.read_json_or_none(layout.spec(run_id))
        if data is None:
            raise RunNotFound(
                f"there is no run {run_id} in {self.uri}; `airflow-train runs list` shows those that are."
            )
        return RunSpec.from_json(data)

    def record(self, run_id: str) -> RunRecord:
        """Everything known of a run now.

        :raises RunNotFound: as `spec`.
        """
        spec = self.spec(run_id)
        read = self.files.read_json_or_none
        # what is written last is read first: who sees a report sees the exit records that came before it
        verdict, report = read(layout.verdict(run_id)), read(layout.report(run_id))
        ranks = self.files.list(layout.ranks(run_id))
        exits = self._ranks(run_id, ranks, "exit.json")
        stop, cancel = read(layout.stop(run_id)), read(layout.cancel(run_id))
        starts = self._ranks(run_id, ranks, "start.json")
        return RunRecord(
            spec=spec,
            heartbeat=read(layout.heartbeat(run_id)),
            claim=read(layout.claim(run_id)),
            owners=tuple(self._numbered(layout.owners(run_id))),
            events=tuple(self._numbered(layout.events(run_id))),
            cancel=cancel,
            stop=stop,
            starts=starts,
            exits=exits,
            report=report,
            verdict=verdict,
        )

    def _numbered(self, folder: str) -> Iterator[dict[str, Any]]:
        for number in self.files.numbers(folder):
            yield self.files.read_json(layout.numbered(folder, number))

    def _ranks(self, run_id: str, ranks: list[str], name: str) -> dict[int, dict[str, Any]]:
        found = {int(one): self.files.read_json_or_none(layout.rank(run_id, int(one), name)) for one in ranks}
        return {rank: value for rank, value in sorted(found.items()) if value is not None}

    def _append(self, folder: str, value: dict[str, Any]) -> int:
        return self.files.next_number(folder, lambda _: layout.as_json(value))

    def add_owner(self, run_id: str, owner: str, task: Mapping[str, Any] | None = None) -> None:
        """Make `owner` the newest owner of a run, unless it is or was: who has lost a run doesn't get it back.

        :param task: the Airflow task with which the run ends: `dag_id`, `dag_run_id`, `task_id`, `map_index`. None when
            the run may outlive its owner.
        """
        if all(one["owner"] != owner for one in self._numbered(layout.owners(run_id))):
            entry = {"at": protocol.timestamp(), "owner": owner, **({"task": dict(task)} if task else {})}
            self._append(layout.owners(run_id), entry)

    def newest_owner(self, run_id: str) -> dict[str, Any] | None:
        """The newest entry in the chain of owners: `owner`, and `task` where the run ends with it."""
        numbers = self.files.numbers(layout.owners(run_id))
        return self.files.read_json(layout.owner(run_id, numbers[-1])) if numbers else None

    def owner(self, run_id: str) -> str | None:
        """Token of the newest owner."""
        newest = self.newest_owner(run_id)
        return str(newest["owner"]) if newest else None

    def add_event(self, run_id: str, phase: str, reason: str, by: str) -> None:
        """Write down what a run waits for now, one of `protocol.PHASES`, and why."""
        status = protocol.PHASES[phase]
        event = {"at": protocol.timestamp(), "status": status, "phase": phase, "reason": reason, "by": by}
        self._append(layout.events(run_id), event)

    def ask_cancel(self, run_id: str, by: str, reason: str) -> bool:
        """Leave the request that a run stop; False when there was one."""
        request = {"at": protocol.timestamp(), "by": by, "reason": reason}
        return self.files.create_json(layout.cancel(run_id), request)

    def cancel_asked(self, run_id: str) -> bool:
        """Has anybody asked for the run to stop?"""
        return self.files.exists(layout.cancel(run_id))

    def stop(self, run_id: str, phase: str) -> bool:
        """Leave word that a run is ended because a phase took longer than it may; False when it is being ended."""
        reason = protocol.STOP_TIME_LIMIT if phase == "run" else protocol.STOP_PHASE_LIMIT
        stop = {
            "at": protocol.timestamp(),
            "reason": reason,
            "phase": phase,
            "detail": "its supervisor was hanging",
        }
        return self.files.create_json(layout.stop(run_id), stop)

    def take_claim(self, run_id: str, who: Mapping[str, Any]) -> bool:
        """Take the one right to start a run's ranks; used by cancel so that nobody else can start them."""
        return self.files.create_json(layout.claim(run_id), dict(who))

    def decide(self, record: RunRecord, verdict: Verdict, swept: bool = True) -> Verdict:
        """Write the verdict on a run unless there is one; returns the one that counts.

        :param swept: as in `settle`.
        """
        run_id = record.run_id
        if not self.files.create_json(layout.verdict(run_id), verdict.to_json()):
            verdict = Verdict.from_json(self.files.read_json(layout.verdict(run_id)))
        self.settle(record.spec, verdict, swept)
        return verdict

    def settle(self, spec: RunSpec, verdict: Verdict, swept: bool = True) -> None:
        """Write what follows from a verdict: summary and index. Can be taken again after a kill in between.

        :param swept: False where its target still holds something of the run, which then stays among the active ones.
        """
        summary = {
            "run_id": spec.run_id,
            "experiment": spec.experiment,
            "status": verdict.status,
            "created": spec.created,
            "started": verdict.started,
            "ended": verdict.ended or verdict.at,
            "metrics": self.last_metrics(spec.run_id),
            "tags": self.tags(spec),
            "target": spec.target["name"],
            "error": verdict.message or None,
        }
        self.files.create_json(layout.summary(spec.run_id), summary)
        index.finish(self.files, spec.run_id, spec.experiment, spec.created, verdict.status, active=not swept)

    def rest(self, spec: RunSpec, verdict: Verdict) -> None:
        """Take a run from the active ones that `settle` has left among them: nothing of it is held any more."""
        index.finish(self.files, spec.run_id, spec.experiment, spec.created, verdict.status)

    def settled(self, spec: RunSpec) -> bool:
        """Is everything done that follows from the verdict?"""
        return not index.is_active(self.files, spec.run_id, spec.created)

    # ------------------------------------------------------------------ what the script said

    def metric_lines(self, run_id: str, system: bool = False) -> list[bytes]:
        """What the ranks logged, or their nodes used, in their order; JSON lines as in `runs/metrics.py`."""
        whole = layout.system_metrics(run_id) if system else layout.metrics(run_id)
        folder, live = whole.removeprefix(f"{layout.run(run_id)}/"), Live(self.files, run_id)
        names = {name.rpartition("/")[2] for name in live.sizes(folder)} | {*self.files.list(whole)}
        ordered = sorted((one for one in names if one.endswith(".jsonl")), key=lambda one: int(one[5:-6]))
        return [live.read(f"{folder}/{one}") for one in ordered]

    def last_metrics(self, run_id: str) -> dict[str, Any]:
        """Last value of every scalar metric."""
        return metrics.last_scalars(self.metric_lines(run_id))

    def tags(self, spec: RunSpec) -> dict[str, str]:
        """Tags as submitted, as the script changed them and as people changed them since, in the order of time."""
        outside = self._numbered(layout.tags(spec.run_id))
        return metrics.fold_tags(spec.tags, self.metric_lines(spec.run_id), outside)

    def change_tags(self, run_id: str, changes: Mapping[str, str], remove: tuple[str, ...] = ()) -> None:
        """Set and remove tags of a run."""
        entry = {"at": protocol.timestamp(), "set": dict(changes), "remove": list(remove)}
        self._append(layout.tags(run_id), entry)

    # ------------------------------------------------------------------ many runs

    def list_runs(
        self, limit: int | None = 50, experiment: str | None = None, status: Status | None = None
    ) -> list[RunSummary]:
        """Newest runs first, `limit` of them; None lists all."""
        found: list[RunSummary] = []
        if limit == 0:
            return found
        for created, run_id in index.newest(self.files, experiment=experiment, status=status):
            summary = self.summary(run_id)
            if summary is None or summary.created != created:
                continue  # a submit that died before the run existed
            if status is not None and summary.status != status:
                continue
            found.append(summary)
            if len(found) == limit:
                break
        return found

    def active(self) -> list[str]:
        """Ids of runs without a settled verdict, newest first; entries that a dead submit left beside are removed."""
        found = []
        for created, run_id in index.active(self.files):
            data = self.files.read_json_or_none(layout.spec(run_id))
            if data is None:
                continue  # not submitted yet, or never
            if data["created"] == created:
                found.append(run_id)
            else:
                index.remove(self.files, run_id, data["experiment"], created)
        return found

    def summary(self, run_id: str) -> RunSummary | None:
        """One line about a run; None when it doesn't exist."""
        data = self.files.read_json_or_none(layout.summary(run_id))
        if data is not None:
            return RunSummary(**data)
        try:
            record = self.record(run_id)
        except RunNotFound:
            return None
        return RunSummary(
            run_id=run_id,
            experiment=record.spec.experiment,
            status=record.status,
            created=record.spec.created,
            started=record.started,
            ended=record.ended,
            metrics=self.last_metrics(run_id),
            tags=self.tags(record.spec),
            target=record.spec.target["name"],
            error=(record.reason or None) if statuses.is_terminal(record.status) else None,
        )
