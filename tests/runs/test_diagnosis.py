"""Which rank is to blame, and in which words."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from airflow_train.runs import diagnosis

Make = Callable[..., Any]


def test_ranks_that_were_only_stopped_are_no_cause(make_exit: Make) -> None:
    exits = [make_exit(0, code=9, stopped_by="supervisor"), make_exit(1, code=2)]

    assert diagnosis.root_cause(exits, None) == exits[1]
    assert diagnosis.root_cause(exits[:1], None) is None


def test_without_a_note_the_first_to_end_is_the_cause(make_exit: Make) -> None:
    exits = [
        make_exit(0, code=1, ended="2026-11-21T05:00:02.000Z"),
        make_exit(1, signal=11, ended="2026-11-21T05:00:01.999Z"),
    ]

    assert (diagnosis.root_cause(exits, None) or {})["rank"] == 1


def test_a_note_of_a_rank_without_record_falls_back_to_the_others(make_exit: Make) -> None:
    failed = make_exit(0, code=1)

    assert diagnosis.root_cause([failed], {"reason": "rank_failed", "rank": 7}) == failed


HOROVOD = {"type": "horovod.common.exceptions.HorovodInternalError", "message": "Horovod has been shut down."}
GLOO = {
    "type": "RuntimeError",
    "message": "[./gloo/pair.cc:598] Connection closed by peer [172.27.0.3]:55725",
}
OWN = {"type": "ValueError", "message": "bad batch"}


def test_who_raised_something_of_its_own_is_the_cause_not_those_that_horovod_told_before_it_had_ended(
    make_exit: Make,
) -> None:
    told, other = make_exit(0, code=1, exception=HOROVOD), make_exit(1, code=1, exception=HOROVOD)
    raised = make_exit(2, code=None, signal=15, stopped_by="supervisor", exception=OWN)
    stop = {"reason": "rank_failed", "rank": 0}

    assert diagnosis.root_cause([told, other, raised], stop) == raised
    assert diagnosis.reason(raised) == "script"
    assert diagnosis.sentence(raised, 4) == "Rank 2 of 4 (node 2) failed: ValueError: bad batch."
    assert diagnosis.root_cause([told, other], stop) == told


def test_a_crash_that_was_seen_late_is_the_cause_of_a_lost_connection(make_exit: Make) -> None:
    told = make_exit(0, code=1, exception=GLOO, ended="2026-11-21T05:00:01.000Z")
    aborted = make_exit(1, signal=6, ended="2026-11-21T05:00:01.001Z")
    crashed = make_exit(2, signal=11, stopped_by="supervisor", ended="2026-11-21T05:00:01.002Z")
    other = {**told, "exception": OWN}
    stop = {"reason": "rank_failed", "rank": 0}

    assert diagnosis.root_cause([told, aborted, crashed], stop) == crashed
    assert diagnosis.root_cause([told, aborted], stop) == told
    assert diagnosis.root_cause([other, crashed], stop) == other


@pytest.mark.parametrize("exception", [HOROVOD, GLOO], ids=["Horovod", "gloo"])
def test_ranks_that_ended_while_others_waited_for_them_are_named(
    make_exit: Make, exception: dict[str, str]
) -> None:
    told = make_exit(0, code=1, exception=exception, ended="2026-11-21T06:00:00.000Z")
    gone = [make_exit(1, code=0), make_exit(3, code=0)]

    assert diagnosis.left_early(told, [told, *gone], mpi=False).startswith("Ranks 1, 3 had come to the end")
    assert diagnosis.left_early(make_exit(0, code=1, exception=OWN), gone, mpi=True) == ""
    ended_by_open_mpi = make_exit(0, code=14, ended=told["ended"])
    assert diagnosis.left_early(ended_by_open_mpi, gone, mpi=True).startswith("Ranks 1, 3 had come")
    assert diagnosis.left_early(ended_by_open_mpi, gone, mpi=False) == ""


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"code": 1}, "script"),
        ({"signal": signal.SIGSEGV}, "script"),
        ({"signal": signal.SIGFPE}, "script"),
        ({"signal": signal.SIGKILL}, "infrastructure"),
        ({"signal": signal.SIGTERM}, "infrastructure"),
        ({"signal": 60}, "infrastructure"),
        ({"code": 127, "could_not_start": "x: No such file"}, "could_not_start"),
        ({"code": None, "stopped_by": "wrapper_killed"}, "infrastructure"),
    ],
)
def test_the_reason_tells_a_bug_from_bad_luck(make_exit: Make, fields: dict[str, Any], reason: str) -> None:
    assert diagnosis.reason(make_exit(**fields)) == reason


@pytest.mark.parametrize(
    ("fields", "ranks", "words"),
    [
        ({"code": 3}, 1, "The script exited with code 3."),
        ({"code": 3}, 4, "Rank 2 of 4 (node 2) exited with code 3."),
        ({"signal": 11}, 1, "The script was ended by SIGSEGV (segmentation fault)."),
        ({"signal": 60}, 1, "The script was ended by signal 60."),
        ({"signal": 1}, 1, "The script was ended by SIGHUP."),
        (
            {"code": 127, "could_not_start": "./x: Permission denied"},
            1,
            "The script could not be started: ./x: Permission denied.",
        ),
        (
            {"code": None, "stopped_by": "wrapper_killed"},
            1,
            "The script ended because its wrapper process was killed from outside.",
        ),
        (
            {"code": 1, "exception": {"type": "KeyError", "message": "'x'", "place": 'File "a.py", line 3'}},
            1,
            "The script exited with code 1: KeyError: 'x' (File \"a.py\", line 3).",
        ),
        (
            {"code": 1, "exception": {"type": "StopIteration", "message": "", "place": ""}},
            1,
            "The script exited with code 1: StopIteration.",
        ),
    ],
)
def test_one_sentence_says_who_and_how(
    make_exit: Make, fields: dict[str, Any], ranks: int, words: str
) -> None:
    assert diagnosis.sentence(make_exit(2, **fields), ranks) == words
