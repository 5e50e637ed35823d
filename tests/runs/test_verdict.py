"""The verdict is counted from exit records; what isn't there is no success."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_train.runs.record import RunRecord
from airflow_train.runs.verdict import REASONS, Verdict, judge
from airflow_train.runtime import protocol

Make = Callable[..., Any]
CANCEL = {"at": "", "by": "ann@host", "reason": "too slow"}


def judged(record: RunRecord, lost: str | None = None) -> tuple[str, str]:
    verdict = judge(record, "2026-11-21T06:00:00.000Z", lost)
    assert verdict.reason in REASONS
    assert verdict.message.endswith(".") == (verdict.status != "Completed")
    return verdict.status, verdict.reason


def stop(reason: str, **more: Any) -> dict[str, Any]:
    return {"at": "", "reason": reason, **more}


@pytest.mark.parametrize("ranks", [1, 2, 8])
def test_success_is_a_zero_from_every_rank(make_record: Make, make_exit: Make, ranks: int) -> None:
    assert judged(make_record(*map(make_exit, range(ranks)))) == ("Completed", "completed")


def test_nothing_seen_is_no_success(make_record: Make) -> None:
    assert judged(make_record(ranks=1, report=None)) == ("Failed", "infrastructure")


def test_one_missing_record_is_no_success(make_record: Make, make_exit: Make) -> None:
    record = make_record(make_exit(0), make_exit(2), ranks=3)

    assert judged(record) == ("Failed", "infrastructure")
    assert "2 of 3 ranks left an exit record" in judge(record, "").message


def test_a_zero_that_an_orphaned_wrapper_asked_for_is_no_success(make_record: Make, make_exit: Make) -> None:
    """The script saved a checkpoint when its supervisor died, and ended politely: it isn't done."""
    record = make_record(make_exit(stopped_by=protocol.SUPERVISOR_LOST))

    assert judged(record, "its supervisor was killed") == ("Failed", "infrastructure")
    assert "its supervisor was killed" in judge(record, "", "its supervisor was killed").message


def test_all_zeros_are_success_although_the_supervisor_died(make_record: Make, make_exit: Make) -> None:
    assert judged(make_record(make_exit(), report=None), "its supervisor was killed")[0] == "Completed"


@pytest.mark.parametrize("code", [0, 1, 143])
def test_cancelled_is_cancelled_whatever_the_script_said(
    make_record: Make, make_exit: Make, code: int
) -> None:
    record = make_record(make_exit(code=code), cancel=CANCEL, stop=stop(protocol.STOP_CANCEL))

    assert judged(record) == ("Canceled", "canceled")
    assert judge(record, "").message == "The run was cancelled by ann@host: too slow."


def test_a_request_that_came_after_the_end_changes_nothing(make_record: Make, make_exit: Make) -> None:
    assert judged(make_record(make_exit(), cancel=CANCEL))[0] == "Completed"
    assert judged(make_record(make_exit(code=3), cancel=CANCEL)) == ("Failed", "script")


def test_cancelled_although_the_supervisor_died_before_it_saw_the_request(
    make_record: Make, make_exit: Make
) -> None:
    record = make_record(make_exit(code=0, stopped_by=protocol.SUPERVISOR_LOST), cancel=CANCEL, report=None)

    assert judged(record, "its supervisor was killed") == ("Canceled", "canceled")


def test_cancelled_before_it_started(make_record: Make) -> None:
    assert judged(make_record(ranks=1, cancel=CANCEL, report=None)) == ("Canceled", "canceled")


def test_the_time_limit_is_a_failure_of_its_own(make_record: Make, make_exit: Make) -> None:
    record = make_record(make_exit(code=0, stopped_by="supervisor"), stop=stop(protocol.STOP_TIME_LIMIT))

    assert judged(record) == ("Failed", "time_limit")
    assert "60 s (max_run_duration_seconds)" in judge(record, "").message


def test_outputs_that_could_not_be_collected_are_no_success(make_record: Make, make_exit: Make) -> None:
    report = {"error": "the outputs could not be collected: disk full", "by": "supervisor"}
    record = make_record(make_exit(), report=report)

    assert judged(record) == ("Failed", "infrastructure")
    assert judge(record, "").message == f"Every rank ended well, but {report['error']}."


def test_code_that_could_not_be_staged_is_named(make_record: Make) -> None:
    report = {"error": "the code could not be staged: no space", "by": "supervisor"}

    assert judge(make_record(ranks=1, report=report), "").message == (
        "Nothing was started: the code could not be staged: no space."
    )


def test_a_parameter_server_sent_home_did_its_part(make_record: Make, make_exit: Make) -> None:
    served = make_exit(1, signal=15, stopped_by=protocol.SERVED)

    assert judged(make_record(make_exit(0), served))[0] == "Completed"


def test_the_rank_that_the_supervisor_saw_failing_first_is_named(make_record: Make, make_exit: Make) -> None:
    exits = [
        make_exit(0, signal=15, stopped_by="supervisor"),
        make_exit(1, code=1, ended="2026-11-21T05:00:09.000Z", last_lines=["ValueError: x"]),
        make_exit(2, code=2, ended="2026-11-21T05:00:01.000Z"),
    ]
    verdict = judge(make_record(*exits, stop=stop(protocol.STOP_RANK_FAILED, rank=1)), "")

    assert (verdict.rank, verdict.exit_code, verdict.last_lines) == (1, 1, ("ValueError: x",))
    assert verdict.message == "Rank 1 of 3 (node 1) exited with code 1."


@pytest.mark.parametrize(("reason", "helps"), [("script", False), ("infrastructure", True), ("lost", True)])
def test_only_bad_luck_is_worth_the_same_again(reason: str, helps: bool) -> None:
    assert Verdict("Failed", reason).retry_helps is helps


def test_a_verdict_survives_the_store(make_record: Make, make_exit: Make) -> None:
    exception = {"type": "ValueError", "message": "x", "place": 'File "train.py", line 1'}
    verdict = judge(make_record(make_exit(code=1, exception=exception, last_lines=["a", "b"])), "now")

    assert Verdict.from_json(verdict.to_json()) == verdict
    assert Verdict.from_json({**verdict.to_json(), "added_later": 1}) == verdict


def test_a_lost_node_is_named_and_no_rank_is_blamed(make_record: Make, make_exit: Make) -> None:
    lost = stop(
        protocol.STOP_NODE_LOST,
        node=2,
        detail="node 2 was lost with 1 of its ranks running, as it was cut off",
    )
    bad = make_exit(0, code=1, stopped_by=protocol.BY_SUPERVISOR)
    verdict = judge(make_record(bad, ranks=3, stop=lost), "")

    assert (verdict.reason, verdict.node, verdict.rank) == ("infrastructure", 2, None)
    assert verdict.message.startswith("The run was lost: node 2 was lost")


def test_a_lost_supervisor_of_several_is_named_by_its_node(make_record: Make, make_exit: Make) -> None:
    record = make_record(make_exit(2, code=14), ranks=4, report=None)
    verdict = judge(record, "", "node 0's container ended with exit code 137", 0)

    assert (verdict.reason, verdict.node, verdict.rank) == ("infrastructure", 0, None)
    assert verdict.message.startswith("The run was lost: node 0's container ended with exit code 137;")
