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
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.tasks import compat, deferring, identity, kill, places, reconcile, secrets, training, xcom
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
        view = observe.look(store, run_id, may_start=True, patient=pause, secrets=secrets.source())
        _own(store, view, context)
        places.link(store, run_id, context)
        phase, reason = view.record.phase, view.record.reason
        about = f", {phase.words()}, since {phase.since}" if phase else f": {reason}" if reason else ""
        log.info("Run %s is %s%s", run_id, view.status, about)
        if not view.terminal:
            return None
        try:
            result = training.outcome(store, view)
        except RunNotCompleted as error:  # looking again shows the same
            raise AirflowFailException(str(error)) from error
        return {**places.of_run(store, run_id), **result}


def handed_over(run_id: str, uri: str | None, context: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """Arguments of the trigger that waits in place of the watching task."""
    return deferring.handed_over(open_store(uri), run_id, context, timeout=timeout)


def give_up(run_id: str, uri: str | None, context: Mapping[str, Any], limit: str) -> None:
    """End a task that was deferred beyond one of its limits, unless the run has completed in its last moment.

    :raises AirflowTaskTimeout, AirflowSensorTimeout: as without deferral.
    """
    if observe.look(open_store(uri), run_id).status == "Completed":
        return
    passed = f"The {limit} of this task passed while it was deferred, waiting for run {run_id}."
    if limit == deferring.TIMEOUT:
        raise compat.AirflowSensorTimeout(passed)
    raise compat.AirflowTaskTimeout(passed)


@contextmanager
def killable(run_id: str, uri: str | None, context: Mapping[str, Any]) -> Iterator[None]:
    """What a kill of the watching task, or its timeout, means for the run: it ends too if it belongs to this task."""
    with translated():
        store = open_store(uri)
        reconcile.tend(store)
        with kill.killable(context, store, [run_id], what="the task that watches it"):
            yield


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
    if not forgotten or view.terminal:
        return
    mine = record.owner == owner
    if all(one["owner"] != owner for one in record.owners):
        store.add_owner(record.run_id, owner, identity.task_of(context))
        log.info("Run %s belongs to this task from now on.", record.run_id)
        mine = True
    if mine:
        # says whose run it is, see `reconcile`; Airflow takes it away before each look of mode `reschedule`
        xcom.push(context, {"run_id": record.run_id})
