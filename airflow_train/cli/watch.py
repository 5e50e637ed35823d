"""A run until its end, on a terminal: its lines and phases as they come, and what Ctrl-C means meanwhile.

A run doesn't depend on whoever watches it. The first Ctrl-C asks what to do, once; the next one leaves the run alone
and says how to come back. Without a terminal nobody can answer, so the first one leaves.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Self, TextIO

from airflow_train import config
from airflow_train.cli import codes, screen, secrets
from airflow_train.lifecycle import wait
from airflow_train.lifecycle.cancel import cancel
from airflow_train.lifecycle.follow import Follower
from airflow_train.lifecycle.narrate import Narrator
from airflow_train.lifecycle.observe import View
from airflow_train.runs.verdict import Verdict
from airflow_train.store.run_store import RunStore

#: Longest pause between two looks of a person at a terminal, seconds.
PAUSE = 0.5


class Live:
    """Shows what is new of a run at every look: phases on standard error, lines on `out`."""

    def __init__(self, store: RunStore, run_id: str, out: TextIO | None) -> None:
        self.run_id, self._out = run_id, out
        self._follower = Follower(store, run_id)
        self._narrator = Narrator()

    def __call__(self, view: View) -> None:
        """Show what has come since the last look."""
        for words in self._narrator.news(view):
            screen.say(f"{self.run_id}: {words}")
        if self._out is not None:
            for line in self._follower.drain() if view.terminal else self._follower.poll():
                self._out.write(f"[{line.speaker}] {line.text}\n")
            self._out.flush()


class Interrupts:
    """Inside, Ctrl-C waits for the next pause, so that no line is lost; a second one doesn't wait."""

    def __init__(self) -> None:
        self._pressed = self._pausing = False
        self._before: object = None

    def __enter__(self) -> Self:
        if (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):  # who ignores Ctrl-C goes on doing so
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._pausing or self._pressed:
            raise KeyboardInterrupt
        self._pressed = True

    def pause(self, seconds: float) -> None:
        """Sleep; :raises KeyboardInterrupt: Ctrl-C was pressed before or meanwhile."""
        with self.at_once():
            if self._pressed:
                raise KeyboardInterrupt
            time.sleep(seconds)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, Ctrl-C doesn't wait."""
        self._pausing = True
        try:
            yield
        finally:
            self._pausing = self._pressed = False


def until_end(
    store: RunStore, run_id: str, on_look: Callable[[View], None], asks: bool = True
) -> View | None:
    """Look until the run has ended; None when whoever watches has left it alone.

    :param asks: may the first Ctrl-C ask? Otherwise it leaves.
    :raises RunNotFound: there is no such run.
    """
    longest = min(PAUSE, config.get_number("poll_interval"))
    asked = not asks
    with Interrupts() as interrupts:
        while True:
            try:
                return wait.wait(
                    store,
                    run_id,
                    poll_interval=longest,
                    on_look=on_look,
                    sleep=interrupts.pause,
                    secrets=secrets.source(),
                )
            except KeyboardInterrupt:
                with interrupts.at_once():
                    answer = "d" if asked else ask(run_id)
                asked = True
            if answer == "d":
                screen.say(f"left {run_id} alone, it goes on; {come_back(run_id)}")
                return None
            if answer == "c":
                cancel(store, run_id, "Ctrl-C")


def ask(run_id: str) -> str:
    """What to do with a run after Ctrl-C: `c`ancel it, `w`ait on, or `d`etach, which is also no answer at all."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "d"
    try:
        sys.stderr.write(f"\nrun {run_id}: [d]etach and let it go on, [c]ancel it, or [w]ait on? [d] ")
        sys.stderr.flush()
        answer = sys.stdin.readline().strip().lower()[:1]
    except KeyboardInterrupt:
        answer = "d"
        screen.say("")
    return answer if answer in ("c", "w") else "d"


def come_back(run_id: str) -> str:
    """How to find the run again."""
    return (
        f"`airflow-train runs logs -f {run_id}` shows it, "
        f"`airflow-train runs wait {run_id}` waits for it, `airflow-train runs cancel {run_id}` stops it."
    )


def outcome(view: View, show_lines: bool) -> int:
    """Say how a run ended; returns the exit code.

    :param show_lines: repeat the last lines, because they weren't shown before.
    """
    run_id = view.record.run_id
    assert view.record.verdict is not None
    verdict = Verdict.from_json(view.record.verdict)
    problem = wait.error(run_id, verdict if show_lines else replace(verdict, last_lines=()))
    if problem is None:
        screen.say(f"{run_id}: Completed")
    else:
        screen.error(problem)
    return codes.of_status(verdict.status)
