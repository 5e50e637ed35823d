"""The way of a run through one task: which run is it, start it or find it again, follow it, tell how it ended."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_train import config, definitions, targets
from airflow_train.exceptions import DefinitionError, UnsupportedByTarget
from airflow_train.lifecycle import meanwhile, observe, wait
from airflow_train.lifecycle.narrate import Narrator
from airflow_train.lifecycle.observe import View
from airflow_train.lifecycle.submit import submit
from airflow_train.lifecycle.warned import warnings
from airflow_train.runs.verdict import Verdict
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.tasks import attempts, compat, deferring, identity, kill, places, plain, secrets, xcom
from airflow_train.tasks.failures import translated
from airflow_train.tasks.kill import KillSwitch
from airflow_train.tasks.live_log import LiveLog

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """What a task was told to train; the arguments of `EstimatorOperator` as they were rendered."""

    estimator: Any
    compute_target: Any = None
    experiment: str | None = None
    tags: Any = field(default_factory=dict)
    #: Parameters of the definition that arguments of the operator replace.
    overrides: Mapping[str, Any] = field(default_factory=dict)
    must_be_distributed: bool = False
    wait: bool = True
    poll_interval: float | None = None
    leave_on_kill: bool = False
    #: Names of the ends of a run that are tried again; None for all that may be.
    retry_on: Collection[str] | None = None
    deferrable: bool | None = None
    store: str | None = None


def train(
    wish: Wish,
    context: Mapping[str, Any],
    switch: KillSwitch,
    defer: Callable[[dict[str, Any]], object],
    ends: ExitStack,
) -> dict[str, Any]:
    """Run what was wished for; returns what other tasks learn of it.

    :param defer: takes the arguments of the trigger that waits in place of this task; doesn't return.
    :param ends: as in `wait.wait`.
    :raises AirflowFailException: trying again can't end differently.
    :raises RunNotCompleted: the run failed; the next try starts anew.
    """
    with translated(wish.retry_on):
        since = protocol.timestamp()
        data = _data(wish, context)
        deferred = wish.wait and _defers(wish, data)
        store = open_store(wish.store)
        run = [identity.attempt_of(context).run_id]
        with kill.killable(context, store, run, leave=wish.leave_on_kill):
            decision = _enter(store, context, switch)
            run.append(decision.run_id)
            switch.check()
            shown = Shown(store, run[-1], since)
            with meanwhile.shown(store, run[-1], shown.tell if deferred else shown.show):
                _submit(store, decision, wish, data, context, switch)
            result = places.publish(store, run[-1], context)
            if deferred and not observe.look(store, run[-1]).terminal:
                switch.check()
                defer(deferring.handed_over(store, run[-1], context, leave=wish.leave_on_kill))
            if wish.wait:
                pause = wish.poll_interval
                view = follow(store, run[-1], switch, poll_interval=pause, shown=shown, ends=ends)
            else:
                switch.check()
                view = observe.look(store, run[-1])
        return {**result, **outcome(store, view)}


def resume(
    event: Mapping[str, Any],
    context: Mapping[str, Any],
    switch: KillSwitch,
    *,
    leave: bool = False,
    poll_interval: float | None = None,
    retry_on: Collection[str] | None = None,
) -> dict[str, Any]:
    """Go on after the trigger's answer: the run's output, then its outcome, as `train` has them.

    :raises AirflowTaskTimeout: the task's `execution_timeout` passed while it was deferred.
    """
    with translated(retry_on):
        store = open_store(event["store"])
        run_id = _own_run(store, context, str(event["run_id"]))
        late, _ = deferring.end_of(event) if run_id == event["run_id"] else (None, None)
        places.link(store, run_id, context)
        with kill.killable(context, store, [run_id], leave=leave):
            if late and not observe.look(store, run_id).terminal:
                raise _timeout(run_id, context)
            shown = Shown(store, run_id, joins=True)
            view = follow(store, run_id, switch, poll_interval=poll_interval, shown=shown)
            if late and view.status != "Completed":
                raise _timeout(run_id, context)
        return {**places.of_run(store, run_id), **outcome(store, view)}


def _own_run(store: RunStore, context: Mapping[str, Any], answered: str) -> str:
    """The run of this attempt, whatever the answer is about.

    On SQLite Airflow gives the number of a cleared task's trigger to the next one, which then gets its last answer.
    """
    _, newest = attempts.previous(store, identity.task_key(context))
    ours = newest is not None and newest.owner == identity.owner_of(context)
    return newest.run_id if newest is not None and ours else answered


class Shown:
    """What the task log shows of a run: its statuses and its output.

    :param since: when this attempt began (ISO 8601, UTC); older lines are shown with this time.
    :param joins: the task log tells of the run already, from before the task was deferred.
    """

    def __init__(self, store: RunStore, run_id: str, since: str = "", joins: bool = False) -> None:
        self.live = LiveLog(store, run_id, lines=int(config.get_number("log_lines")), since=since)
        self._run_id, self._narrator = run_id, Narrator(joins)

    def tell(self, view: View) -> None:
        """Statuses that are new."""
        for words in self._narrator.news(view):
            log.info("Run %s is %s", self._run_id, words)

    def show(self, view: View) -> None:
        """Whatever is new."""
        self.tell(view)
        self.live.show(view)


def follow(
    store: RunStore,
    run_id: str,
    switch: KillSwitch,
    *,
    poll_interval: float | None,
    shown: Shown,
    ends: ExitStack | None = None,
) -> View:
    """Wait for the end of a run and show its output and its statuses in the task log.

    :param shown: what it has shown of the run already.
    :param ends: as in `wait.wait`.
    :raises Killed: the task was told to end.
    """
    view = wait.wait(
        store,
        run_id,
        poll_interval=poll_interval,
        on_look=shown.show,
        sleep=switch.pause,
        secrets=secrets.source(),
        ends=ends,
    )
    shown.live.finish(store.files.join(layout.user_logs(run_id)))
    for warning in warnings(store, view.record):
        log.warning("Run %s, %s: %s", run_id, warning["source"], warning["message"])
    return view


def outcome(store: RunStore, view: View) -> dict[str, Any]:
    """Status and last metrics of a run, as XCom takes them.

    :raises RunNotCompleted: the run has ended, but not as Completed; the class says why.
    """
    run_id = view.record.run_id
    if view.record.verdict is not None:
        problem = wait.error(run_id, Verdict.from_json(view.record.verdict))
        if problem is not None:
            raise problem
    summary = store.summary(run_id) if view.terminal else None
    metrics = summary.metrics if summary is not None else None
    return {"status": view.status, "metrics": xcom.of_metrics(metrics or {})}


def experiment_of(dag_id: str) -> str:
    """The experiment of runs whose definition names none: the DAG's id, in letters that experiments may have."""
    return re.sub(r"[^\w-]+", "-", dag_id, flags=re.ASCII).strip("-_")[:255] or "dag"


def _data(wish: Wish, context: Mapping[str, Any]) -> dict[str, Any]:
    base = plain.folder_of(context["dag"]) or Path.cwd()
    data = plain.changed(plain.at_run(wish.estimator, base), experiment=wish.experiment, **wish.overrides)
    if not isinstance(wish.tags, Mapping):
        raise DefinitionError(
            f"task {context['ti'].task_id}: tags are {wish.tags!r} but must be names with values; write a dict."
        )
    if wish.must_be_distributed and not data.get("distributed_training"):
        raise DefinitionError(
            f"task {context['ti'].task_id}: the {data['type']} has no distributed_training, which "
            "DistributedEstimatorOperator needs; give it one or use EstimatorOperator."
        )
    return data


def _defers(wish: Wish, data: Mapping[str, Any]) -> bool:
    """Does the task wait in the triggerer?

    :raises UnsupportedByTarget: it was asked to, and the target can't.
    """
    wanted = compat.default_deferrable() if wish.deferrable is None else wish.deferrable
    if not wanted:
        return False
    resolved = definitions.resolve_compute_target(wish.compute_target or data.get("compute_target"))
    if targets.get(resolved).can_defer:
        return True
    name, reason = resolved["name"], "only this machine can watch its runs"
    if wish.deferrable:
        raise UnsupportedByTarget(
            f"deferrable=True can't be honoured on compute target {name!r}, because {reason}; leave deferrable out."
        )
    log.info("[operators] default_deferrable is ignored on compute target %r, because %s.", name, reason)
    return False


def _timeout(run_id: str, context: Mapping[str, Any]) -> BaseException:
    limit = context["ti"].task.execution_timeout
    return compat.AirflowTaskTimeout(
        f"The execution_timeout of {limit} passed while the task was deferred, and run {run_id} with it."
    )


def _enter(store: RunStore, context: Mapping[str, Any], switch: KillSwitch) -> attempts.Decision:
    current, key = identity.attempt_of(context), identity.task_key(context)
    by = identity.label_of(context)
    decision = attempts.enter(store, key, current, by, sleep=switch.pause)
    attempts.check_newest(store, key, current)
    return decision


def _submit(
    store: RunStore,
    decision: attempts.Decision,
    wish: Wish,
    data: Mapping[str, Any],
    context: Mapping[str, Any],
    switch: KillSwitch,
) -> None:
    submit(
        store,
        data,
        run_id=decision.run_id,
        previous=decision.previous or None,
        experiment=experiment_of(context["ti"].dag_id),
        compute_target=wish.compute_target,
        tags={str(key): str(value) for key, value in wish.tags.items()},
        owner=identity.owner_of(context),
        ends_with=identity.task_of(context) if wish.wait and not wish.leave_on_kill else None,
        origin={**identity.origin_of(context), "waits": wish.wait},
        before_start=switch.check,
        secrets=secrets.source(),
    )
