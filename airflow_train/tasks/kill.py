"""What a kill of the task means for its run.

`on_kill` runs in a signal handler, in the middle of anything, and `execute` goes on behind it; 5 s later the process is
gone. So it only leaves a word in a queue, which is allowed there, and whoever waits next hears it.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Mapping
from typing import Any

from airflow_train.exceptions import (
    InfrastructureFailure,
    NotOwner,
    RunCanceled,
    RunNotCompleted,
    RunNotFound,
)
from airflow_train.lifecycle import cancel
from airflow_train.store.run_store import RunStore
from airflow_train.tasks.identity import label_of, owner_of

log = logging.getLogger(__name__)

#: Seconds to wait for Airflow's answer; a second or two must be left of the five.
PATIENCE = 2.5


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


def handle(
    store: RunStore, run_id: str, context: Mapping[str, Any], *, leave: bool = False
) -> RunNotCompleted:
    """Do what a kill asks for; returns the error that ends the task.

    :param leave: the run goes on whatever happens (`on_kill="leave"`).
    """
    from airflow_train.tasks import compat  # imports Airflow, which the rest of this module doesn't need

    ti = context["ti"]
    state = compat.task_state(context, PATIENCE)
    found = f"Airflow calls the task {state}" if state else "Airflow didn't answer"
    log.info("The task was told to end; %s at try %s of %s.", found, ti.try_number, ti.max_tries + 1)
    if leave:
        return InfrastructureFailure(
            f"The task was told to end; run {run_id} goes on, as on_kill='leave' asks.", run_id
        )
    if stops_run(state, int(ti.try_number), int(ti.max_tries)):
        stopped = stop(store, run_id, context, "the task was killed")
        also = f"and so was run {run_id}" if stopped else f"but run {run_id} isn't this task's to stop"
        return RunCanceled(f"The task was told to end, {also}.", run_id)
    return InfrastructureFailure(
        f"The worker of this task was told to end; run {run_id} goes on, and the next try takes it over.",
        run_id,
    )


def stop(store: RunStore, run_id: str, context: Mapping[str, Any], reason: str) -> bool:
    """Cancel the run if this task owns it; doesn't wait for its end. False: there was nothing to cancel."""
    try:
        cancel.cancel_as(store, run_id, owner_of(context), reason, label_of(context))
        return True
    except NotOwner as error:
        log.info("%s", error)
    except RunNotFound:
        log.info("Run %s hasn't been submitted, so there is nothing to stop.", run_id)
    return False
