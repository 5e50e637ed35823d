"""Nothing that the live suite starts outlives it, also when pytest is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from airflow_train.runs import ids
from airflow_train.runtime import protocol
from tests.airflow_live import guard
from tests.targets.lab import processes_of, until

#: Starts a guard as pytest does, with something that leaves its parent.
STARTER = """
    import os, subprocess, sys, time
    away = "setsid sleep 1000 & exec sleep 1000"
    subprocess.Popen([sys.executable, sys.argv[1], str(os.getpid()), "sh", "-c", away], start_new_session=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("victim", ["starter", "guard told to end"])
def test_whoever_started_the_guard_takes_everything_along(victim: str) -> None:
    mark = ids.drawn("guard")
    starter = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STARTER), guard.__file__],
        env={**os.environ, protocol.RUN_ID: mark},
    )
    try:
        until(lambda: sum(line.startswith("sleep 1000") for _, line in processes_of(mark)) == 2)
        if victim != "starter":
            [told] = [pid for pid, line in processes_of(mark) if f"{guard.__file__} {starter.pid} sh" in line]
            os.kill(told, signal.SIGTERM)
            until(lambda: [pid for pid, _ in processes_of(mark)] == [starter.pid])
    finally:
        starter.kill()
        starter.wait()
    until(lambda: not processes_of(mark))


def test_a_guard_whose_starter_is_killed_before_it_looks_ends_everything_too() -> None:
    mark = ids.drawn("guard")
    at_once = textwrap.dedent(STARTER).replace("time.sleep(1000)", "os.kill(os.getpid(), 9)")
    subprocess.run(
        [sys.executable, "-c", at_once, guard.__file__],
        env={**os.environ, protocol.RUN_ID: mark},
        check=False,
    )
    until(lambda: not processes_of(mark))
