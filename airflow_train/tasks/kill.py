"""What a kill of the task means for its run.

`on_kill` runs in a signal handler, in the middle of anything, and `execute` goes on behind it; 5 s later the process is
gone. So it only leaves a word in a queue, which is allowed there, and whoever waits next hears it. A deferred task has
no process; its trigger asks for the task's state (`state_of`), and who finds a run without either is `reconcile`.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_train.exceptions import (
    NotOwner,
    RunCanceled,
    RunNotCompleted,
    RunNotFound,
    WorkerLeft,
)
from airflow_train.lifecycle import cancel, wait
from airflow_train.store.run_store import RunStore
from airflow_train.tasks.identity import label_of, owner_of, task_of

log = logging.getLogger(__name__)

#: Seconds to wait for Airflow's answer; a second or two must be left of the five.
PATIENCE = 2.5
#: Seconds to see the end of a run that was stopped; likewise.
LAST_LOOK = 1.0

#: What `state_of` says of a task of which Airflow knows no dag run, and of one that was cleared and has no state yet.
GONE, CLEARED = "gone", "cleared"

#: States in which nobody comes back to a task that was deferred; a user, or nothing else, put it there.
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed", GONE})


class Killed(Exception):
    """The task was told to end."""


class KillSwitch:
    """Between the signal handler and whoever waits in `execute`."""

    def __init__(self) -> None:
        self._words: queue.SimpleQueue[None] = queue.SimpleQueue()

    def press(self) -> None:
        """Called by `on_kill`; safe in a signal handler, waits for nothing."""
        self._words.put(None)

    def pause(self, seconds: float) -> None:
        """Sleep.

        :raises Killed: as soon as the switch is pressed.
        """
        try:
            self._words.get(timeout=max(seconds, 0))
        except queue.Empty:
            return
        raise Killed

    def check(self) -> None:
        """Go on.

        :raises Killed: the switch has been pressed.
        """
        self.pause(0)


def stops_run(state: str | None, try_number: int, max_tries: int) -> bool:
    """Does the run end with the task?

    A task that Airflow still calls running wasn't killed by a user: its worker goes away, and the next try takes the
    run over. Without a next try nobody would. No answer counts as running.

    :param state: of the task instance in Airflow's database.
    """
    return state not in (None, "running") or try_number > max_tries


@contextmanager
def killable(
    context: Mapping[str, Any],
    store: RunStore,
    run: list[str],
    *,
    leave: bool = False,
    what: str = "the task",
) -> Iterator[None]:
    """What a kill of the task that waits here means for its run, and its `execution_timeout`.

    :param run: holds the id of the run as the last one; it can change on the way.
    :param leave: the run goes on whatever happens (`on_kill="leave"`).
    :param what: whose timeouts they are, in the reason of a cancel request.
    """
    from airflow_train.tasks import compat  # imports Airflow, which the rest of this module doesn't need

    try:
        yield
    except Killed:
        raise handle(store, run[-1], context, leave=leave) from None
    except (
        compat.AirflowTaskTimeout,
        compat.AirflowSensorTimeout,
        compat.AirflowSkipException,  # a sensor's timeout, softened
    ) as error:
        name = "execution_timeout" if isinstance(error, compat.AirflowTaskTimeout) else "timeout"
        if not leave and store.exists(run[-1]):
            stop(store, run[-1], context, f"the {name} of {what} passed")
        raise


def handle(
    store: RunStore, run_id: str, context: Mapping[str, Any], *, leave: bool = False
) -> RunNotCompleted:
    """Do what a kill asks for; returns the error that ends the task.

    :param leave: the run goes on whatever happens (`on_kill="leave"`).
    """
    ti = context["ti"]
    state = state_of(task_of(context), PATIENCE)
    found = f"Airflow calls the task {state}" if state else "Airflow didn't answer"
    log.info("The task was told to end; %s at try %s of %s.", found, ti.try_number, ti.max_tries + 1)
    if leave:
        return WorkerLeft(f"The task was told to end; run {run_id} goes on, as on_kill='leave' asks.", run_id)
    if stops_run(state, int(ti.try_number), int(ti.max_tries)):
        stopped = stop(store, run_id, context, "the task was killed")
        if stopped:  # most end at once, and then nothing is left for others to do
            wait.wait(store, run_id, timeout=LAST_LOOK)
        also = f"and so was run {run_id}" if stopped else f"but run {run_id} isn't this task's to stop"
        return RunCanceled(f"The task was told to end, {also}.", run_id)
    return WorkerLeft(
        f"The worker of this task was told to end; run {run_id} goes on, and the next try takes it over.",
        run_id,
    )


def stop(store: RunStore, run_id: str, context: Mapping[str, Any], reason: str) -> bool:
    """Cancel the run if this task owns it; doesn't wait for its end. False: there was nothing to cancel."""
    return stop_if_owner(store, run_id, owner_of(context), reason, label_of(context))


def stop_if_owner(store: RunStore, run_id: str, owner: str, reason: str, by: str) -> bool:
    """Cancel the run if `owner` is its newest; doesn't wait for its end. False: there was nothing to cancel."""
    try:
        cancel.cancel_as(store, run_id, owner, reason, by)
        return True
    except NotOwner as error:
        log.info("%s", error)
    except RunNotFound:
        log.info("Run %s hasn't been submitted, so there is nothing to stop.", run_id)
    return False


def state_of(task: Mapping[str, Any], patience: float) -> str | None:
    """State of a task in Airflow's database, `GONE` or `CLEARED`; None when no answer came.

    :param task: `dag_id`, `dag_run_id`, `task_id` and `map_index`.
    """
    from airflow_train.tasks import compat

    index = int(task["map_index"])
    states = compat.task_states(task["dag_id"], [task["dag_run_id"]], [task["task_id"]], index, patience)
    return None if states is None else state_in(states, task)


def state_in(states: Mapping[str, Mapping[str, Any]], task: Mapping[str, Any]) -> str:
    """The state of one task in Airflow's answer: its name, `GONE` or `CLEARED`."""
    found = states.get(task["dag_run_id"])
    if found is None:
        return GONE
    index = int(task["map_index"])
    state = found.get(task["task_id"] if index < 0 else f"{task['task_id']}_{index}")
    return CLEARED if state is None else str(getattr(state, "value", state))
