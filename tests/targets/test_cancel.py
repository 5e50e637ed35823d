"""Cancel on every target: TERM to the script alone, time for a checkpoint, then an end for everything."""

from __future__ import annotations

import signal
import time

import pytest

from airflow_train.lifecycle import cancel
from airflow_train.lifecycle.observe import View
from tests.targets.lab import Lab

WAITING = "mark('ready')\nwhile True: time.sleep(0.05)"


def cancelled(lab: Lab, code: str, **job: object) -> tuple[View, float]:
    """Cancel a run once its script says `ready`; the end, and the seconds from the request to it."""
    run_id = lab.start(code, **job)
    lab.marked(run_id, "ready")
    asked = time.monotonic()
    cancel.cancel(lab.store, run_id, reason="enough", by="a test")
    view = lab.wait(run_id)
    seconds = time.monotonic() - asked
    assert lab.nothing_left(run_id)
    return view, seconds


def test_a_script_that_obeys_ends_at_once_and_the_request_is_named(lab: Lab) -> None:
    view, seconds = cancelled(lab, WAITING)

    assert (view.status, (view.record.verdict or {})["message"]) == (
        "Canceled",
        "The run was cancelled by a test: enough.",
    )
    assert seconds < 3


def test_a_script_has_time_for_its_checkpoint(lab: Lab) -> None:
    view, _ = cancelled(
        lab,
        """
        def save(*_):
            time.sleep(0.3)
            open("outputs/checkpoint", "w").write("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        mark("ready")
        while True: time.sleep(0.05)
        """,
    )

    assert (view.status, view.record.exits[0]["code"]) == ("Canceled", 0)
    assert lab.output(view.record.run_id, "outputs/checkpoint") == "saved"


def test_term_reaches_the_main_process_only(lab: Lab) -> None:
    """Data loaders must go on while the main process saves."""
    view, _ = cancelled(
        lab,
        """
        def save(*_):
            time.sleep(0.2)
            mark("loader lives" if loader.poll() is None else "loader died")
            sys.exit(0)
        loader = subprocess.Popen(["sleep", "1000"])
        signal.signal(signal.SIGTERM, save)
        mark("ready")
        while True: time.sleep(0.05)
        """,
    )

    assert lab.marks(view.record.run_id)[-1] == "loader lives"


@pytest.mark.parametrize("ignores", ["signal.signal(signal.SIGTERM, signal.SIG_IGN)", "os.nice(0)"])
def test_after_the_grace_everything_is_killed_however_well_it_hides(lab: Lab, ignores: str) -> None:
    view, seconds = cancelled(
        lab,
        f"""
        {ignores}
        open("outputs/kept", "w").write("so far")
        for depth in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    while True: time.sleep(1)
                os._exit(0)
        mark("ready")
        while True: time.sleep(0.05)
        """,
        grace_seconds=0.5,
    )

    assert (view.status, seconds < 4) == ("Canceled", True)
    assert view.record.exits[0]["signal"] == (signal.SIGKILL if "SIG_IGN" in ignores else signal.SIGTERM)
    assert lab.output(view.record.run_id, "outputs/kept") == "so far"


def test_a_stopped_script_is_woken_to_obey(lab: Lab) -> None:
    view, seconds = cancelled(
        lab,
        """
        def save(*_):
            open("outputs/checkpoint", "w").write("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        mark("ready")
        os.kill(os.getpid(), signal.SIGSTOP)
        while True: time.sleep(0.05)
        """,
    )

    assert (view.status, seconds < 4) == ("Canceled", True)
    assert lab.output(view.record.run_id, "outputs/checkpoint") == "saved"


def test_a_stopped_wrapper_does_not_hold_the_cancel_up(lab: Lab) -> None:
    run_id = lab.start(WAITING, grace_seconds=0.2)
    lab.marked(run_id, "ready")
    lab.kill(run_id, "wrapper", signal.SIGSTOP)
    cancel.cancel(lab.store, run_id)

    assert lab.wait(run_id).status == "Canceled"
    assert lab.nothing_left(run_id)


def test_cancelled_before_anybody_started_it_a_run_never_starts(lab: Lab) -> None:
    spec = lab.spec("mark('ran')")
    lab.store.create(spec)
    view = cancel.cancel(lab.store, spec.run_id)
    lab.submit(spec)

    assert (view.status, lab.wait(spec.run_id).status) == ("Canceled", "Canceled")
    assert lab.marks(spec.run_id) == []


def test_a_run_that_has_ended_stays_as_it_is(lab: Lab) -> None:
    view = lab.run("pass")

    assert cancel.cancel(lab.store, view.record.run_id).status == "Completed"
    assert lab.store.record(view.record.run_id).cancel is None


def test_all_ranks_are_cancelled(lab: Lab) -> None:
    code = "mark('ready' if os.environ['RANK'] == '2' else 'other'); signal.pause()"
    view, _ = cancelled(lab, code, distribution={"type": "pytorch"}, process_count_per_node=3)

    assert view.status == "Canceled"
    assert {one["signal"] for one in view.record.exits.values()} == {signal.SIGTERM}


def test_a_chain_of_forks_does_not_outrun_the_end(lab: Lab) -> None:
    """Each process forks the next and ends: no single look at the table of processes has to meet one."""
    view, _ = cancelled(
        lab,
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            while True:
                if os.fork(): os._exit(0)
        mark("ready")
        while True: time.sleep(0.05)
        """,
        grace_seconds=0.2,
    )

    assert view.status == "Canceled"


def test_a_submitter_that_blocks_signals_does_not_take_cancel_from_its_run(lab: Lab) -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM])
    try:
        view, seconds = cancelled(lab, WAITING)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    assert view.status == "Canceled"
    assert seconds < 5
