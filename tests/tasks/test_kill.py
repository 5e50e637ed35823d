"""What a kill of the task means for its run."""

from __future__ import annotations

import time

import pytest

from airflow_train.tasks.kill import Killed, KillSwitch, stops_run


@pytest.mark.parametrize(
    ("state", "try_number", "stops"),
    [
        ("failed", 1, True),
        ("success", 1, True),
        ("restarting", 1, True),
        ("removed", 1, True),
        ("running", 1, False),
        ("running", 2, False),
        ("running", 3, True),
        (None, 1, False),
        (None, 3, True),
    ],
)
def test_a_run_ends_with_a_task_that_a_user_ended_or_that_has_no_next_try(
    state: str | None, try_number: int, stops: bool
) -> None:
    assert stops_run(state, try_number, max_tries=2) is stops


def test_a_pressed_switch_ends_every_pause_at_once() -> None:
    switch = KillSwitch()
    switch.press()
    began = time.monotonic()
    with pytest.raises(Killed):
        switch.pause(60)
    assert time.monotonic() - began < 1


def test_an_untouched_switch_lets_go_on() -> None:
    switch = KillSwitch()
    switch.check()
    switch.pause(0.01)
