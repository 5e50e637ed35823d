"""Runs that outlived their task: found by comparing the store with what Airflow knows, and stopped.

Nobody hears a user who ends a deferred task while no triggerer is up, or a sensor between two pokes; and nobody tells a
run whose worker died in its last try. Their runs have an owner that says which task they end with. `stop_orphans` asks
Airflow for the states of those tasks. It runs in every triggerer that watches a run, once a minute, and with every poke
of a `RunSensor`; a store that neither looks at keeps such a run until it ends by itself.

Two deployments may share a store and have dags of the same names. So a task's state counts only if the task's XCom
`run_id` names the run, which is true in one deployment, and until the task is cleared. A task with
`do_xcom_push=False` can't be told apart, and its run is left alone.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from airflow_train.exceptions import TrainError
from airflow_train.lifecycle import observe
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from airflow_train.tasks import compat, kill

log = logging.getLogger(__name__)

#: Seconds to wait for each of Airflow's answers.
PATIENCE = 10.0
#: States of a task in which its run belongs to nobody. A dag run that isn't known may be another deployment's.
_OVER = kill.ENDED - {kill.GONE}


def stop_orphans(store: RunStore, patience: float = PATIENCE) -> list[str]:
    """Stop the active runs of tasks that have ended; returns their ids. Blocks, and never raises what a run causes.

    :raises StoreError: the store can't be listed.
    """
    stopped = []
    for dag_id, owned in _by_dag(store).items():
        asked = [entry["task"] for entry in owned.values()]
        states = compat.task_states(
            dag_id,
            sorted({one["dag_run_id"] for one in asked}),
            sorted({one["task_id"] for one in asked}),
            -1,
            patience,
        )
        for run_id, entry in owned.items():
            task = entry["task"]
            if kill.state_in(states or {}, task) not in _OVER:
                continue
            # asked for many, Airflow's answer calls `train[1]` what it calls the task `train_1`
            state = kill.state_of(task, patience)
            if state not in _OVER or compat.xcom_of(task, "run_id", patience) != run_id:
                continue
            reason = f"its task {dag_id}.{task['task_id']} has ended ({state}) without it"
            if kill.stop_if_owner(store, run_id, entry["owner"], reason, "airflow-train, which found it"):
                log.info("Run %s is stopped: %s.", run_id, reason)
                stopped.append(run_id)
    return stopped


def finish_stopped(store: RunStore) -> None:
    """Look at runs that were asked to stop, or have ended and left something behind: nobody waits for them any more.

    :raises StoreError: the store can't be listed.
    """
    for run_id in store.active():
        if store.cancel_asked(run_id) or store.files.exists(layout.verdict(run_id)):
            observe.look(store, run_id)


def tend(store: RunStore) -> None:
    """Both for whoever has other things to do: what can't be done now is done next time."""
    try:
        stop_orphans(store)
        finish_stopped(store)
    except (TrainError, OSError) as error:
        log.debug("Runs without a task could not be looked for: %s", error)


def _by_dag(store: RunStore) -> Mapping[str, dict[str, dict[str, Any]]]:
    """Dag → active run → its newest owner, where the run ends with a task and nobody has asked it to stop."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for run_id in store.active():
        newest = store.newest_owner(run_id)
        if newest is not None and newest.get("task") and not store.cancel_asked(run_id):
            found[newest["task"]["dag_id"]][run_id] = newest
    return found
