"""Which earlier files a run goes on from: what `resume_from` names, and what the attempt before has left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_train.exceptions import DefinitionError, RunNotFound
from airflow_train.lifecycle import observe
from airflow_train.runs import ids
from airflow_train.runtime import protocol
from airflow_train.store import artifacts
from airflow_train.store.run_store import RunStore

#: The word for the attempt before this one.
PREVIOUS = "previous"


def resolve(store: RunStore, wanted: str | None, beside: Path, previous: str | None) -> dict[str, Any] | None:
    """What `--resume-from` shall lead to, as a spec keeps it: `run_id` (None: a path of this machine), `path`, `file`.

    :param wanted: a run id, a run id and a path among its files, a path, or `previous`.
    :param beside: what a relative path starts from.
    :param previous: the run whose outputs are at hand, if this attempt has a predecessor.
    :raises DefinitionError: there is nothing of that name, or the run that it names hasn't ended.
    """
    if wanted is None or (wanted == PREVIOUS and previous is None):
        return None
    if wanted == PREVIOUS:
        return {"run_id": previous, "path": protocol.OUTPUTS_FOLDER, "file": False}
    if not wanted.strip():
        raise DefinitionError(f"resume_from is empty; name a run, a path or {PREVIOUS}, or leave it out.")
    run_id, _, path = wanted.partition("/")
    if ids.problem(run_id) is None and store.exists(run_id):
        return _of_run(store, run_id, path.strip("/") or protocol.OUTPUTS_FOLDER)
    place = beside / Path(wanted).expanduser()
    if not place.exists():
        raise DefinitionError(
            f"resume_from is {wanted!r}, but there is neither a run of that id in {store.uri} nor a file or folder "
            f"{place}; name a run, a run and a path as in RUN/outputs/checkpoints, a path, or {PREVIOUS}."
        )
    root = store.files.local_root
    if root is not None and root.resolve().is_relative_to(place.resolve()):
        raise DefinitionError(
            f"resume_from is {wanted!r}, the folder {place.resolve()}, which holds the run store itself; name a folder "
            "inside it that holds checkpoints and no more."
        )
    return {"run_id": None, "path": str(place), "file": place.is_file()}


def _of_run(store: RunStore, run_id: str, path: str) -> dict[str, Any]:
    status = observe.look(store, run_id).status
    found = [name for name, _ in artifacts.names(store.files, run_id, path)]
    if not store.record(run_id).terminal:
        raise DefinitionError(
            f"resume_from names run {run_id}, which is {status}: its outputs are there when it has ended; wait for it "
            f"with `airflow-train runs wait {run_id}`."
        )
    if not found:
        raise DefinitionError(
            f"resume_from names {path} of run {run_id}, which has no such files; "
            f"{artifacts.available(store.files, run_id, path)}."
        )
    return {"run_id": run_id, "path": path, "file": found == [path]}


def predecessor(store: RunStore, run_id: str | None) -> str | None:
    """The newest run that has left outputs, from this one back along the attempts before it; None without any."""
    while run_id is not None:
        if artifacts.names(store.files, run_id, protocol.OUTPUTS_FOLDER):
            return run_id
        try:
            run_id = store.spec(run_id).previous
        except RunNotFound:
            return None
    return None
