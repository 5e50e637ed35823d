"""What a run is: its id, its status, its spec."""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from airflow_train.exceptions import StoreError
from airflow_train.runs import ids, status
from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec

Make = Callable[..., Any]
TOKEN = "01920000-0000-7000-8000-000000000001"


# ---------------------------------------------------------------------- ids


def test_a_token_always_gives_the_same_id_and_another_one_another() -> None:
    assert ids.derived("train", TOKEN) == ids.derived("train", TOKEN)
    assert ids.derived("train", TOKEN) != ids.derived("train", TOKEN[:-1] + "2")
    assert ids.derived("train", TOKEN) == ids.derived("train", TOKEN.upper())


@pytest.mark.parametrize("name", ["train", "Träin ümläut", "a.b/c d", "", "---", "数据", "x" * 300, "9lives"])
def test_every_name_makes_ids_that_are_ids(name: str) -> None:
    for made in (ids.derived(name, TOKEN), ids.derived(name, "no uuid"), ids.drawn(name)):
        assert ids.problem(made) is None
        assert re.fullmatch(r"[a-z0-9-]{3,40}", made)


def test_drawn_ids_differ() -> None:
    assert len({ids.drawn("a") for _ in range(1000)}) == 1000


def test_derived_ids_do_not_collide_within_reason() -> None:
    assert len({ids.derived("a", str(uuid.UUID(int=number))) for number in range(10_000)}) == 10_000


@pytest.mark.parametrize("text", ["", "A-b", "a_b", "a/b", "../x", "a b", "ä", "-a", "a\n", "x" * 62])
def test_what_is_no_run_id_is_told_where_to_look(text: str) -> None:
    assert "`airflow-train runs list` shows them" in str(ids.problem(text))


@pytest.mark.parametrize("kind", ["manual", "scheduled", "backfill", "asset_triggered"])
def test_a_dag_run_id_is_refused_with_the_mend(kind: str) -> None:
    said = ids.problem(f"{kind}__2026-11-21T05:00:00+00:00")

    assert "is the id of a DAG run" in str(said)
    assert "run_id=train.output['run_id']" in str(said)


# ---------------------------------------------------------------------- status


def test_a_status_is_the_furthest_event_in_whatever_order_they_were_written() -> None:
    events: list[status.Status] = ["Starting", "Preparing", "Running", "Finalizing"]

    assert {status.latest(order) for order in itertools.permutations(events)} == {"Finalizing"}
    assert status.latest([]) == "NotStarted"


def test_every_status_has_its_place_and_three_end_a_run() -> None:
    assert sorted(status.ORDER) == sorted(set(status.ORDER))
    assert [one for one in status.ORDER if status.is_terminal(one)] == ["Completed", "Failed", "Canceled"]


def test_a_verdict_beats_a_request_which_beats_events(make_spec: Make) -> None:
    events = ({"at": "1", "status": "Running", "reason": "r", "by": "node"},)
    cancel, verdict = {"at": "2"}, {"status": "Failed", "message": "why", "at": "9", "ended": "8"}
    record = RunRecord(make_spec(), events=events, cancel=cancel, verdict=verdict)

    assert RunRecord(make_spec(), events=events).status == "Running"
    assert RunRecord(make_spec(), events=events, cancel=cancel).status == "CancelRequested"
    assert (record.status, record.reason, record.ended, record.terminal) == ("Failed", "why", "8", True)


def test_a_run_started_with_its_first_rank_and_belongs_to_its_newest_owner(make_spec: Make) -> None:
    starts = {0: {"at": "2026-11-21T05:00:02.000Z"}, 1: {"at": "2026-11-21T05:00:01.000Z"}}
    owners = ({"owner": "first"}, {"owner": "second"})
    record = RunRecord(make_spec(), starts=starts, owners=owners)

    assert (record.started, record.owner) == ("2026-11-21T05:00:01.000Z", "second")
    assert (RunRecord(make_spec()).started, RunRecord(make_spec()).owner) == (None, None)


# ---------------------------------------------------------------------- spec


def test_a_spec_survives_json(make_spec: Make) -> None:
    spec = make_spec(arguments=["010", "ä"], environment_variables={"A": "1"})

    assert RunSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_what_a_later_version_added_is_passed_over_and_another_format_refused(make_spec: Make) -> None:
    data = make_spec().to_json()

    assert RunSpec.from_json({**data, "added_later": 1}) == make_spec()
    with pytest.raises(StoreError, match=r"format 2.*reads format 1; upgrade airflow-train"):
        RunSpec.from_json({**data, "version": 2})


@pytest.mark.parametrize(
    ("job", "size"),
    [
        ({}, 1),
        ({"node_count": 2, "process_count_per_node": 3, "distribution": {"type": "pytorch"}}, 6),
        (
            {
                "node_count": 2,
                "distribution": {"type": "tensorflow", "worker_count": 2, "parameter_server_count": 1},
            },
            3,
        ),
    ],
)
def test_the_world_size_counts_every_rank(make_spec: Make, job: dict[str, Any], size: int) -> None:
    assert make_spec(**job).world_size == size
