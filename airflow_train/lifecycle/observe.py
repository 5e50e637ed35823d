"""Looking at a run, which also moves it on: whoever looks next finishes what a dead process left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from airflow_train import targets
from airflow_train.exceptions import InfrastructureFailure, SecretNotFound, TrainError
from airflow_train.lifecycle import secrets as keeping
from airflow_train.lifecycle.steps import Step, next_step, shown_status
from airflow_train.runs.record import RunRecord
from airflow_train.runs.status import Status
from airflow_train.runs.verdict import Verdict, judge
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from airflow_train.targets.base import BackendAway, Observation, Target

log = logging.getLogger(__name__)

#: A run that nobody has claimed for this long is started (again), this often at most; seconds.
START_AFTER = 2.0
START_TRIES = 3
#: What a target couldn't remove is tried again by whoever looks, for so long after the verdict; seconds.
SWEEP_FOR = 24 * 3600.0
NEVER_BEGAN = "The run could not be started: %s before it began."


@dataclass(frozen=True)
class View:
    """A run as one look found it."""

    record: RunRecord
    status: Status
    #: Has its present phase gone on for longer than it may?
    overdue: bool = False

    @property
    def terminal(self) -> bool:
        """Has the run ended?"""
        return self.record.terminal


class Watcher:
    """Repeated looks at one run by one process; remembers what a single look can't know: for how long."""

    def __init__(
        self,
        store: RunStore,
        run_id: str,
        secrets: keeping.Source = keeping.ENVIRONMENT,
        ends: ExitStack | None = None,
    ) -> None:
        """:param ends: what the target holds of a run that is judged here is removed meanwhile, until this is closed;
        None: before the verdict.
        """
        self.store, self.run_id, self._secrets, self._ends = store, run_id, secrets, ends
        #: Somebody of this process is removing it.
        self._sweeping = False
        #: What this process could not read of the run's secrets; another may.
        self._unread = ""
        self._beat: tuple[Any, float] = (None, time.monotonic())
        self._unclaimed_since = time.monotonic()
        self._tries = 0
        self._target: Target | None = None

    def look(self, may_start: bool = False) -> View:
        """Read, observe, and take the steps that need no waiting.

        :param may_start: start the run when whoever submitted it died before that.
        :raises RunNotFound: there is no such run.
        """
        ended = False
        while True:
            record = self.store.record(self.run_id)
            if record.verdict is not None:
                self._settle(record)
                return View(record, record.status)
            target = self._target = targets.get(record.spec.target)
            seen = target.observe(record, self.store)
            age, watched = self._heard(record)
            overdue = record.phases[-1].overdue(protocol.timestamp())
            step = next_step(record, seen, age, watched, overdue)
            try:
                if (step is Step.END and ended) or not self._take(step, record, seen, may_start):
                    return View(record, shown_status(record, seen, age), overdue)
            except BackendAway:  # whoever looks next
                return View(record, shown_status(record, seen, age), overdue)
            ended = step is Step.END  # once: another user's supervisor can't be ended by this one

    def glance(self) -> bool:
        """Is a look worth while now? Asks what costs next to nothing."""
        return self._target is not None and self._target.glance(self.run_id, self.store)

    def _heard(self, record: RunRecord) -> tuple[float, float]:
        """Seconds since the last sign of life by the clocks, and since this process saw it first."""
        sign = record.heartbeat or record.claim
        if sign is None:
            return 0.0, 0.0
        now = time.monotonic()
        if self._beat[0] != sign["at"]:
            self._beat = (sign["at"], now)
        return time.time() - protocol.seconds_of(sign["at"]), now - self._beat[1]

    def _take(self, step: Step, record: RunRecord, seen: Observation, may_start: bool) -> bool:
        """Take a step; True when there is something new to read."""
        target = targets.get(record.spec.target)
        if step is Step.START or (step is Step.NOT_STARTED and may_start and not self._tries):
            return may_start and self._start(record)
        if step is Step.NOT_STARTED:
            return self._give_up_starting(record)
        if step is Step.END:
            self.store.stop(self.run_id, record.phases[-1].name)
            target.end(record, self.store)
            return True
        if step is Step.CANCEL_UNSTARTED:
            if self.store.take_claim(self.run_id, _identity()):
                self._judge(record, None)
            return True
        if step is Step.JUDGE_UNSTARTED:
            self._judge_unstarted(record)
            return True
        if step is Step.JUDGE:
            successor = record.report is not None and record.report["by"] == protocol.SUCCESSOR
            self._judge(record, seen.note if successor else None, seen.node)
            return True
        if step in (Step.COLLECT, Step.GIVE_UP):
            note = seen.note if step is Step.COLLECT else seen.note or _unheard(record)
            note = self._collect(target, record, note, final=step is Step.GIVE_UP)
            whole = self.store.record(self.run_id)
            reported = whole.report is not None and whole.report["by"] == protocol.SUPERVISOR
            self._judge(whole, None if reported else note, seen.node)
            return True
        return False

    def _collect(self, target: Target, record: RunRecord, note: str, final: bool) -> str:
        """What became of the supervisor and, if need be, of the attempt to finish its work.

        :raises BackendAway: not now, and this isn't the `final` attempt.
        """
        try:
            target.collect(record, self.store, self._read_secrets(record))
        except InfrastructureFailure as error:
            if isinstance(error, BackendAway) and not final:
                raise
            return f"{note}, and {error}"
        return note

    def _start(self, record: RunRecord) -> bool:
        begun = protocol.seconds_of(record.phases[-1].since)
        waited = time.monotonic() - self._unclaimed_since
        if waited < START_AFTER and (self._tries or time.time() - begun < START_AFTER):
            return False
        self._unclaimed_since = time.monotonic()
        if self._tries < START_TRIES:
            found = self._read_secrets(record)
            if found is None:
                return self._leave(record)
            if record.phases[-1].overdue(protocol.timestamp()):
                self.store.add_event(self.run_id, "start", "handing over again", protocol.LOOKER)
            targets.get(record.spec.target).submit(record.spec, self.store, found)
            self._tries += 1
            return True
        if self.store.take_claim(self.run_id, _identity()):
            self._decide(record, "infrastructure", NEVER_BEGAN % f"its supervisor ended {START_TRIES} times")
        return True

    def _read_secrets(self, record: RunRecord) -> dict[str, str] | None:
        """The run's secrets; None when they can't be read here."""
        try:
            return keeping.of_spec(record.spec, self._secrets)
        except (SecretNotFound, InfrastructureFailure) as error:
            self._unread = " ".join(str(error).splitlines())
            return None

    def _leave(self, record: RunRecord) -> bool:
        """Leave the start of a run to somebody who can read its secrets and say why, for as long as it may take."""
        reason = f"waits for a process that can read its secrets: {self._unread}"
        if not any(event["reason"] == reason for event in record.events):
            self.store.add_event(self.run_id, "start", reason, protocol.LOOKER)
        elif record.phases[-1].overdue(protocol.timestamp()):
            return self._give_up_starting(record)
        return False

    def _give_up_starting(self, record: RunRecord) -> bool:
        if self.store.take_claim(self.run_id, _identity()):
            self._decide(record, "phase_limit", record.phases[-1].too_long())
        return True

    def _judge_unstarted(self, record: RunRecord) -> None:
        """Say what somebody was about to say who took the run so that nobody starts it, and died."""
        if record.cancel is not None:
            self._judge(record, None)
        elif record.phases[-1].overdue(protocol.timestamp()):
            self._decide(record, "phase_limit", record.phases[-1].too_long())
        else:
            self._decide(record, "infrastructure", NEVER_BEGAN % "whoever gave it up was killed")

    def _decide(self, record: RunRecord, reason: str, message: str) -> None:
        verdict = Verdict("Failed", reason, message, at=protocol.timestamp())
        self.store.decide(record, verdict, self._swept(record))

    def _judge(self, record: RunRecord, lost: str | None, node: int | None = None) -> None:
        swept = self._ends is None and self._swept(record)
        self._register(record)
        verdict = self.store.decide(record, judge(record, protocol.timestamp(), lost, node), swept)
        if self._ends is not None:
            from concurrent.futures import ThreadPoolExecutor

            self._sweeping = True
            sweeper = self._ends.enter_context(ThreadPoolExecutor(1))
            done = sweeper.submit(self._sweep, record, verdict)
            self._ends.callback(done.result)

    def _sweep(self, record: RunRecord, verdict: Verdict) -> None:
        """What is left to do after the verdict; whoever looks next does it where it fails, or this process is killed.

        The task has ended as its run has: it doesn't fail, and isn't tried again, because something was not removed.
        """
        try:
            if self._swept(record):
                self.store.rest(record.spec, verdict)
        except (TrainError, OSError) as error:
            log.warning("Run %s has ended, but not all of it was removed: %s", self.run_id, error)

    def _swept(self, record: RunRecord) -> bool:
        """Remove what the target holds of the run, if that can be done now."""
        try:
            targets.get(record.spec.target).sweep(record, self.store)
        except InfrastructureFailure:
            return False
        return True

    def _register(self, record: RunRecord) -> None:
        if self.store.files.list(layout.registrations(self.run_id)):
            from airflow_train.lifecycle import registrations  # most runs ask for none

            registrations.carry_out(self.store, record.spec)

    def _settle(self, record: RunRecord) -> None:
        """Do what a killed judge left undone, or could not do."""
        if record.verdict is not None and not self._sweeping and not self.store.settled(record.spec):
            verdict = Verdict.from_json(record.verdict)
            late = time.time() - protocol.seconds_of(verdict.at) > SWEEP_FOR
            swept = self._swept(record) or late
            self._register(record)
            self.store.settle(record.spec, verdict, swept)


def _identity() -> dict[str, Any]:
    return {**protocol.identity(), "at": protocol.timestamp(), "by": protocol.LOOKER}


def _unheard(record: RunRecord) -> str:
    host = (record.claim or {}).get("host")
    return f"its supervisor on {host} hasn't been heard of for {protocol.LEASE_SECONDS:g} s"


def look(
    store: RunStore,
    run_id: str,
    *,
    may_start: bool = False,
    patient: Callable[[float], object] | None = None,
    secrets: keeping.Source = keeping.ENVIRONMENT,
) -> View:
    """One look at a run, which judges it when nothing of it lives any more.

    :param may_start: start the run when whoever submitted it died before that.
    :param patient: how to pause for two heartbeats, to look again where a supervisor isn't heard, or seems to hang in
        a phase that took longer than it may: one look alone never gives a run up. May raise to stop.
    :param secrets: where the run's secrets are to be had when it is started.
    :raises RunNotFound: there is no such run.
    """
    watcher = Watcher(store, run_id, secrets)
    view = watcher.look(may_start)
    if patient is not None and not view.terminal and (view.overdue or view.status == "NotResponding"):
        patient(2 * protocol.HEARTBEAT_SECONDS + 1)
        view = watcher.look(may_start)
    return view


def refresh(store: RunStore) -> list[str]:
    """Look at every run without a settled verdict, so that a listing tells the truth.

    :returns: what kept runs from being looked at (a target that is gone, say), one sentence each.
    """
    problems = []
    for run_id in store.active():
        try:
            look(store, run_id)
        except TrainError as error:
            problems.append(f"run {run_id} could not be looked at: {error}")
    return problems
