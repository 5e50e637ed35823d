"""From a definition to a run that lives without whoever submitted it.

Everything that can be wrong is found before anything is written. From then on each step can be repeated: the same id
submitted again, by anybody, finds what is there and goes on where a dead submitter stopped.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from airflow_train import config, definitions, targets
from airflow_train.environments.preparing import Prepared, prepare
from airflow_train.exceptions import DefinitionError, InfrastructureFailure, UnsupportedByTarget
from airflow_train.lifecycle import resume as resuming
from airflow_train.lifecycle import secrets as keeping
from airflow_train.lifecycle.cancel import user
from airflow_train.runs import git, ids
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store import snapshots
from airflow_train.store.run_store import RunStore
from airflow_train.targets.base import Plan, Target


@dataclass(frozen=True)
class Checked:
    """A definition that its target can run."""

    definition: Mapping[str, Any]
    job: Mapping[str, Any]
    prepared: Prepared
    source: Path
    experiment: str
    resolved: Mapping[str, Any]
    target: Target
    #: As in the spec.
    resume: Mapping[str, Any] | None = None
    previous: str | None = None


def check(
    store: RunStore,
    definition: Any,
    *,
    base: Path | None = None,
    experiment: str | None = None,
    compute_target: Any = None,
    previous: str | None = None,
) -> Checked:
    """Find everything that is wrong with a definition, its files and its target; writes nothing.

    :param definition: a definition, its plain data, or the path of a YAML file.
    :param base: folder that relative source directories start from; the YAML file's folder or the current one else.
    :param experiment: used where the definition names none; else the definition's source directory names it.
    :param compute_target: wins over the definition's.
    :param previous: the run of the attempt before, if this is the next one of the same work.
    :raises DefinitionError: the definition or its files are wrong.
    :raises UnsupportedByTarget: the target can't honour it.
    :raises ConfigurationError: the target isn't configured well.
    """
    loaded = definitions.load(definition, base=base)
    definitions.check_files(loaded, base)
    source = loaded.source_path(base)
    prepared = prepare(asdict(loaded.normalized()), source, loaded.beside(base), store.files)
    job = prepared.job
    resolved = definitions.resolve_compute_target(compute_target or job["compute_target"])
    target = targets.get(resolved)
    if problems := target.check(job, store):
        raise UnsupportedByTarget("\n".join(map(loaded.placed, problems)))
    name = job["experiment"] or experiment or ids.slug(source.resolve().name)
    offered = resuming.predecessor(store, previous)
    resume = resuming.resolve(store, job["resume_from"], loaded.beside(base), offered)
    return Checked(loaded.to_dict(), job, prepared, source, name, resolved, target, resume, offered)


def submit(
    store: RunStore,
    definition: Any,
    *,
    name: str | None = None,
    run_id: str | None = None,
    base: Path | None = None,
    experiment: str | None = None,
    compute_target: Any = None,
    tags: Mapping[str, str] | None = None,
    owner: str | None = None,
    ends_with: Mapping[str, Any] | None = None,
    origin: Mapping[str, Any] | None = None,
    before_start: Callable[[], object] | None = None,
    previous: str | None = None,
    secrets: keeping.Source = keeping.ENVIRONMENT,
) -> RunSpec:
    """Start a run, or find the one of that id again.

    :param name: what the drawn run id starts with; the experiment by default.
    :param run_id: derived id of the attempt; one is drawn when it isn't given.
    :param owner: token of the task that owns the run from now on.
    :param ends_with: the Airflow task with which the run ends, as `RunStore.add_owner` takes it.
    :param origin: who submits: `kind` and what names the task there.
    :param before_start: called when the run exists and nothing of it has started; may raise to leave it so.
    :param previous: the run of the attempt before: the new one finds a copy of its outputs.
    :param secrets: where the definition's secrets are to be had.
    :raises DefinitionError, UnsupportedByTarget, ConfigurationError: as `check`.
    :raises SecretNotFound: a secret can't be read here; nothing was written.
    :raises SnapshotError: the source directory can't travel.
    :raises InfrastructureFailure: the target could not start it; submitting the same id again goes on.
    """
    if run_id is not None and (problem := ids.problem(run_id)):
        raise DefinitionError(problem)
    found: Mapping[str, str] | None = None
    if run_id is not None and store.exists(run_id):
        spec = store.spec(run_id)
    else:
        checked = check(
            store,
            definition,
            base=base,
            experiment=experiment,
            compute_target=compute_target,
            previous=previous,
        )
        draft = _spec(checked, "", {"id": ""}, tags or {}, origin or {"kind": "python"})
        found = keeping.gathered(draft, secrets, checked.source, store.files)
        spec = _create(store, checked, draft, name, run_id)
    if owner is not None:
        store.add_owner(spec.run_id, owner, ends_with)
    if before_start is not None:
        before_start()
    _start(store, spec, secrets, found)
    return spec


def dry_run(
    store: RunStore, definition: Any, *, base: Path | None = None, compute_target: Any = None
) -> Plan:
    """The plan that a submit would carry out; the snapshot id is left open and nothing runs.

    :raises DefinitionError, UnsupportedByTarget, ConfigurationError: as `check`.
    """
    checked = check(store, definition, base=base, compute_target=compute_target)
    snapshot = {"id": "SNAPSHOT", "files": 0, "bytes": 0}
    return checked.target.plan(_spec(checked, "RUN_ID", snapshot, {}, {}), store)


def _create(
    store: RunStore,
    checked: Checked,
    draft: RunSpec,
    name: str | None,
    run_id: str | None,
) -> RunSpec:
    store.check_format()
    taken = snapshots.take(store.files, checked.source, entry_script=checked.job["entry_script"])
    job = checked.prepared.kept(store.files)
    snapshot = {"id": taken.id, "files": taken.files, "bytes": taken.bytes}
    while True:
        wanted = run_id or ids.drawn(name or checked.experiment)
        spec = replace(
            draft,
            job=job,
            run_id=wanted,
            created=protocol.timestamp(),
            snapshot=snapshot,
            properties={**draft.properties, "ContentSnapshotId": taken.id},
        )
        if store.create(spec):
            return spec
        if run_id is not None:
            return store.spec(run_id)  # somebody submitted the same attempt meanwhile


def _spec(
    checked: Checked,
    run_id: str,
    snapshot: Mapping[str, Any],
    tags: Mapping[str, str],
    origin: Mapping[str, Any],
) -> RunSpec:
    properties = {**git.facts(checked.source), "host": platform.node(), "python": platform.python_version()}
    return RunSpec(
        run_id=run_id,
        experiment=checked.experiment,
        created=protocol.timestamp(),
        definition=checked.definition,
        job=checked.job,
        target=checked.resolved,
        snapshot=snapshot,
        limits=_limits(),
        resume=checked.resume,
        previous=checked.previous,
        tags={**checked.job["tags"], **{str(key): str(value) for key, value in tags.items()}},
        properties={"ContentSnapshotId": str(snapshot["id"]), **properties},
        origin={"user": user(), **origin},
    )


def _limits() -> dict[str, float]:
    """Longest durations of phases as they are configured here, in seconds."""
    found = {name: config.get_number(f"{name}_limit") for name in protocol.LIMITED}
    return {name: seconds for name, seconds in found.items() if seconds > 0}


def _start(store: RunStore, spec: RunSpec, secrets: keeping.Source, found: Mapping[str, str] | None) -> None:
    record = store.record(spec.run_id)
    if record.verdict is not None or record.claim is not None:
        return
    found = keeping.of_spec(spec, secrets) if found is None else found
    if not record.events or record.phases[-1].overdue(protocol.timestamp()):
        store.add_event(spec.run_id, "start", f"handing over to {spec.target['name']}", "submitter")
    try:
        targets.get(spec.target).submit(spec, store, found)
    except InfrastructureFailure as error:
        raise InfrastructureFailure(str(error), spec.run_id) from error
