"""The chain of attempts of one task: which run the current attempt works on.

An attempt writes itself down, with the run it works on, *before* it submits. Killed in between, the next attempt finds
the entry and submits under the same id, so that a script is never started twice: not by an attempt that was killed
halfway, nor by one that goes on after its worker was given up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from airflow_train.exceptions import InfrastructureFailure, NotOwner
from airflow_train.lifecycle import cancel, observe, wait
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from airflow_train.tasks.identity import CONTINUING, Attempt, Rule, rule

log = logging.getLogger(__name__)

#: Seconds beyond `grace_seconds` that a run which was told to stop may take.
PATIENCE = 30.0

Sleep = Callable[[float], object]


@dataclass(frozen=True)
class Decision:
    """What an attempt does: the run it works on, and why."""

    run_id: str
    rule: Rule
    why: str
    #: The failed run whose outputs the new run is offered; empty when there is none.
    previous: str = ""


def previous(store: RunStore, key: str) -> tuple[int, Attempt | None]:
    """Number and content of the newest entry of a task's chain; (0, None) when there is none."""
    numbers = store.files.numbers(layout.task(key))
    if not numbers:
        return 0, None
    entry = store.files.read_json(layout.numbered(layout.task(key), numbers[-1]))
    return numbers[-1], Attempt.from_json(entry)


def enter(store: RunStore, key: str, current: Attempt, by: str, *, sleep: Sleep = time.sleep) -> Decision:
    """Decide which run an attempt works on, and write that down.

    A run that must give way (its task was cleared) is cancelled first; this waits until it has ended.

    :param by: the attempt as people name it.
    :param sleep: how to pause while waiting; may raise.
    :raises NotOwner: a later attempt of the task has begun.
    :raises InfrastructureFailure: the run before didn't end in time.
    """
    while True:
        number, before = previous(store, key)
        decision = _decide(store, before, current, by, sleep)
        if decision.rule is Rule.SAME:
            break
        entry = replace(current, run_id=decision.run_id, previous=decision.previous).to_json()
        if store.files.create_json(layout.numbered(layout.task(key), number + 1), entry):
            break
    log.info("Run %s: %s, so %s.", decision.run_id, decision.rule.value, decision.why)
    return decision


def check_newest(store: RunStore, key: str, current: Attempt) -> None:
    """Step back when a later attempt has begun meanwhile.

    :raises NotOwner: it has.
    """
    _, newest = previous(store, key)
    if newest is not None and newest.owner != current.owner:
        raise _stale(newest)


def _decide(store: RunStore, before: Attempt | None, current: Attempt, by: str, sleep: Sleep) -> Decision:
    connected = rule(before, current)
    if before is None:
        return Decision(current.run_id, connected, "it starts")
    if connected is Rule.STALE:
        raise _stale(before)
    if connected not in CONTINUING:
        gone = _stop(store, before.run_id, current.owner, by, connected, sleep)
        return Decision(current.run_id, connected, f"it starts anew{gone}")
    if connected is Rule.SAME:
        return Decision(before.run_id, connected, "it goes on", before.previous)
    return _continued(store, before, current, sleep)


def _continued(store: RunStore, before: Attempt, current: Attempt, sleep: Sleep) -> Decision:
    run_id = before.run_id
    if not store.exists(run_id):
        why = "it is submitted under the id that was meant for it"
        return Decision(run_id, Rule.RETRY, why, before.previous)
    view = observe.look(store, run_id)
    if not view.terminal and view.record.cancel is not None:
        view = _until_end(store, run_id, sleep)
    if not view.terminal:
        return Decision(run_id, Rule.RETRY, "this attempt takes the live run over")
    if view.status == "Completed":
        return Decision(run_id, Rule.RETRY, "its result is taken and nothing is trained again")
    why = f"it starts after run {run_id}, which ended as {view.status}"
    return Decision(current.run_id, Rule.RETRY, why, previous=run_id)


def _stop(store: RunStore, run_id: str, owner: str, by: str, why: Rule, sleep: Sleep) -> str:
    """End the run that a clear left behind; returns half a sentence for the log."""
    if not store.exists(run_id):
        # whoever was about to submit it may still be at it: such a run ends before it starts
        store.ask_cancel(run_id, by, why.value)
        return ""
    if observe.look(store, run_id).terminal:
        return ""
    store.add_owner(run_id, owner)
    cancel.cancel_as(store, run_id, owner, why.value, by)
    _until_end(store, run_id, sleep)
    return f" and run {run_id} was cancelled"


def _until_end(store: RunStore, run_id: str, sleep: Sleep) -> observe.View:
    limit = float(store.spec(run_id).job.get("grace_seconds") or 0) + PATIENCE
    view = wait.wait(store, run_id, timeout=limit, sleep=sleep)
    if not view.terminal:
        raise InfrastructureFailure(
            f"run {run_id} was told to stop and is still {view.status} after {limit:g} s; look at it with "
            f"`airflow-train runs show {run_id}`.",
            run_id,
        )
    return view


def _stale(newest: Attempt) -> NotOwner:
    return NotOwner(
        f"a later attempt of this task (try {newest.try_number}) has begun and works on run {newest.run_id}, "
        "so this one steps back."
    )
