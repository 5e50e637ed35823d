"""Waiting for the end of a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from airflow_train import config
from airflow_train.exceptions import (
    BuildFailed,
    InfrastructureFailure,
    NoProgress,
    OutOfMemory,
    RunCanceled,
    RunFailed,
    RunNotCompleted,
    TimeLimitReached,
)
from airflow_train.lifecycle import secrets as keeping
from airflow_train.lifecycle.observe import View, Watcher
from airflow_train.runs.verdict import Verdict
from airflow_train.store.run_store import RunStore

#: First pause between two looks; it grows by half up to the poll interval. Seconds.
FIRST_PAUSE = 0.02
#: A look reads a dozen files; in between, what costs next to nothing is asked this often, and the rarer the longer the
#: run takes: who waits for hours doesn't wake up a hundred times a second. Seconds.
GLANCE, RAREST_GLANCE = 0.01, 0.1
#: Of the time that was waited so far.
_SHARE = 0.02

_ERRORS: dict[str, type[RunNotCompleted]] = {
    "build_failed": BuildFailed,
    "canceled": RunCanceled,
    "out_of_memory": OutOfMemory,
    "time_limit": TimeLimitReached,
    "no_progress": NoProgress,
    "infrastructure": InfrastructureFailure,
    "phase_limit": InfrastructureFailure,
    "lost": InfrastructureFailure,
}


def wait(
    store: RunStore,
    run_id: str,
    *,
    poll_interval: float | None = None,
    timeout: float | None = None,
    on_look: Callable[[View], None] | None = None,
    sleep: Callable[[float], object] = time.sleep,
    secrets: keeping.Source = keeping.ENVIRONMENT,
    ends: ExitStack | None = None,
) -> View:
    """Look until the run has ended; a run that nobody started is started.

    :param poll_interval: longest pause between two looks, seconds; `[train] poll_interval` by default.
    :param timeout: seconds after which the last view is returned although the run goes on.
    :param on_look: called after every look, the last one included.
    :param sleep: how to pause; may raise to stop waiting.
    :param secrets: where the run's secrets are to be had when it is started.
    :param ends: closed by who has used the time that the target takes to remove what it holds of the run; None waits
        for that.
    :raises RunNotFound: there is no such run.
    """
    longest = config.get_number("poll_interval") if poll_interval is None else poll_interval
    watcher = Watcher(store, run_id, secrets, ends)
    pause, began = min(FIRST_PAUSE, longest), time.monotonic()
    deadline = None if timeout is None else began + timeout
    while True:
        view = watcher.look(may_start=True)
        if on_look is not None:
            on_look(view)
        if view.terminal or (deadline is not None and time.monotonic() >= deadline):
            return view
        glances = min(max(GLANCE, (time.monotonic() - began) * _SHARE), RAREST_GLANCE)
        _rest(watcher, pause, glances, sleep)
        pause = min(pause * 1.5, longest)


def _rest(watcher: Watcher, seconds: float, glances: float, sleep: Callable[[float], object]) -> None:
    """The pause between two looks, cut short by the end of the run where a glance shows it.

    :param glances: seconds between two of them.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        sleep(min(left, glances))
        if watcher.glance():
            return


def error(run_id: str, verdict: Verdict) -> RunNotCompleted | None:
    """The typed exception of a verdict; None when the run completed."""
    if verdict.status == "Completed":
        return None
    lines = "".join(f"\n  {line}" for line in verdict.last_lines)
    tail = f"\nLast lines of rank {verdict.rank}:{lines}" if lines else ""
    kind = _ERRORS.get(verdict.reason, RunFailed)
    return kind(f"Run {run_id} {verdict.status.lower()}: {verdict.message}{tail}", run_id)
