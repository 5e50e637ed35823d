"""What a terminal and a task log tell of a run: every phase once, and what happens to it besides."""

from __future__ import annotations

import os
import signal

from airflow_train.lifecycle import cancel, wait
from airflow_train.lifecycle.narrate import Narrator
from airflow_train.lifecycle.observe import View, look
from tests.targets.lab import Lab, until


def test_every_phase_is_told_once_even_if_it_passed_between_two_looks(lab: Lab) -> None:
    narrator, told = Narrator(), []
    run_id = lab.start("pass", max_run_duration_seconds=60)

    def tell(view: View) -> None:
        told.extend(narrator.news(view))

    wait.wait(lab.store, run_id, poll_interval=0.01, on_look=tell)
    tell(look(lab.store, run_id))

    assert [words for words in told if words != "NotStarted"] == [
        "Preparing, phase stage: laying out the code",
        "Running, phase run (limit 60 s)",
        "Finalizing, phase collect: collecting outputs",
    ]


def test_who_goes_on_telling_begins_with_what_goes_on(lab: Lab) -> None:
    """A deferred task's log is written by three processes, one after the other."""
    run_id = lab.start("mark('ready'); signal.pause()")
    lab.marked(run_id, "ready")
    until(lambda: look(lab.store, run_id).status == "Running")
    during = Narrator(joins=True).news(look(lab.store, run_id))
    cancel.cancel(lab.store, run_id)
    lab.wait(run_id)

    assert during == ["Running, phase run"]
    assert Narrator(joins=True).news(look(lab.store, run_id)) == []


def test_a_status_that_is_no_phase_is_told_too(lab: Lab) -> None:
    narrator = Narrator()
    run_id = lab.start("signal.signal(signal.SIGTERM, signal.SIG_IGN); mark('ready'); time.sleep(1000)")
    lab.marked(run_id, "ready")
    until(lambda: narrator.news(look(lab.store, run_id))[-1:] == ["Running, phase run"])
    cancel.cancel(lab.store, run_id)

    assert narrator.news(look(lab.store, run_id)) == ["CancelRequested"]
    os.kill(lab.supervisor(run_id), signal.SIGKILL)
