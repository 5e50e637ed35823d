"""A task that watches a run which another task or somebody has started."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_train.exceptions import DefinitionError, RunNotCompleted
from airflow_train.lifecycle import observe
from airflow_train.lifecycle.observe import View
from airflow_train.runs import ids
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.tasks import compat, identity, kill, training
from airflow_train.tasks.compat import AirflowFailException
from airflow_train.tasks.failures import translated

log = logging.getLogger(__name__)


def poke(
    run_id: str, uri: str | None, context: Mapping[str, Any], pause: Callable[[float], object] = time.sleep
) -> dict[str, Any] | None:
    """Look at a run; None while it goes on, else what other tasks learn of it.

    :param pause: how to wait; may raise, so that a kill is heard.
    :raises AirflowFailException: it ended otherwise than Completed, or there is no such run.
    """
    with translated():
        _check(run_id, context)
        store = open_store(uri)
        view = observe.look(store, run_id, may_start=True, patient=pause)
        _own(store, view, context)
        log.info(
            "Run %s is %s%s", run_id, view.status, f": {view.record.reason}" if view.record.reason else ""
        )
        if not view.terminal:
            return None
        try:
            result = training.outcome(store, view)
        except RunNotCompleted as error:  # looking again shows the same
            raise AirflowFailException(str(error)) from error
        return {
            "run_id": run_id,
            **result,
            "outputs_uri": store.files.join(layout.outputs(run_id)),
            "logs_uri": store.files.join(layout.user_logs(run_id)),
        }


@contextmanager
def killable(run_id: str, uri: str | None, context: Mapping[str, Any]) -> Iterator[None]:
    """What a kill of the watching task means for the run: it ends too if it belongs to this task."""
    with translated():
        try:
            yield
        except kill.Killed:
            raise kill.handle(open_store(uri), run_id, context) from None
        except compat.AirflowTaskTimeout:
            kill.stop(
                open_store(uri), run_id, context, "the execution_timeout of the task that watches it passed"
            )
            raise


def _check(run_id: Any, context: Mapping[str, Any]) -> None:
    mend = "use the XCom of the training task, e.g. run_id=train.output['run_id']."
    if not run_id or not isinstance(run_id, str):
        raise DefinitionError(f"run_id is {run_id!r} but must be the id of a training run; {mend}")
    if run_id == context["dag_run"].run_id:
        raise DefinitionError(f"run_id is {run_id!r}, the id of this DAG run, not of a training run; {mend}")
    if problem := ids.problem(run_id):
        raise DefinitionError(f"run_id: {problem}")


def _own(store: RunStore, view: View, context: Mapping[str, Any]) -> None:
    """Become the owner of a run whose own task doesn't wait for it, once."""
    record, owner = view.record, identity.owner_of(context)
    forgotten = record.spec.origin.get("waits") is False
    if forgotten and not view.terminal and all(one["owner"] != owner for one in record.owners):
        store.add_owner(record.run_id, owner)
        log.info("Run %s belongs to this task from now on.", record.run_id)
