"""What several nodes have left becomes one run's, whatever they call it and whatever a script has written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_train.store.run_store import RunStore, open_store
from airflow_train.targets.docker import admission, collect, merging

AT = "2026-11-21T05:00:00.031Z"
REPORT: dict[str, Any] = {
    "at": AT,
    "started": AT,
    "error": None,
    "by": "supervisor",
    "outputs": 1,
    "conflicts": [],
    "left": [],
    "memory": {"limit_bytes": 1, "peak_bytes": {"0": 1}},
}
EXIT: dict[str, Any] = {
    "rank": 3,
    "node": 1,
    "code": 1,
    "signal": None,
    "could_not_start": None,
    "stopped_by": None,
    "started": AT,
    "ended": AT,
    "max_rss_bytes": None,
    "retries": 0,
    "lost_output_bytes": 0,
    "last_lines": ["a"],
    "exception": {"type": "ValueError", "message": ""},
    "memory": None,
}
STOP: dict[str, Any] = {"at": AT, "reason": "node_lost", "node": 1, "detail": "it is gone"}
#: Fits nowhere.
GARBAGE: tuple[Any, ...] = ([3], {"a": 1}, 1 << 70, True, 0.5)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return open_store(str(tmp_path / "store"))


def left(node: int, **contents: str) -> Iterator[Any]:
    """Files `a__b="…"` of outputs, folders `a__b__=""`, and a report."""
    for name, text in contents.items():
        whole = f"files/outputs/{name.replace('__', '/')}"
        yield collect._Arrival(whole, len(text), [text.encode()])
    words = json.dumps(REPORT).encode()
    yield collect._Arrival(f"node_{node}/report.json", len(words), [words])


def bring(store: RunStore, *nodes: dict[str, str]) -> dict[str, str]:
    """What lies in the outputs when each node's has come, twice, and the conflicts as the report has them."""
    for _ in range(2):
        reports = [collect._store(left(n, **one), "a-run", store, n) for n, one in enumerate(nodes)]
        first, *others = [report or b"" for report in reports]
        merged = json.loads(merging.merged(first, enumerate(others, 1)))
    folder = "runs/a-run/files/outputs"
    found = {name: store.files.read(f"{folder}/{name}").decode() for name, _, _ in store.files.walk(folder)}
    beside = {one.partition("/")[2] for one in merged["conflicts"]}
    assert beside == {one for one in beside if any(f"{name}/".startswith(f"{one}/") for name in found)}
    assert all(".conflict-" not in name or any(name.startswith(one) for one in beside) for name in found)
    return found


def test_a_folder_where_another_node_has_a_file_lies_beside_it(store: RunStore) -> None:
    found = bring(store, {"a": "0"}, {"a__b": "1", "z": "1"}, {"a__b": "2", "a__c__d": "2"})

    assert found == {
        "a": "0",
        "z": "1",
        "a.conflict-1/b": "1",
        "a.conflict-1/b.conflict-1": "2",
        "a.conflict-1/c/d": "2",
    }


def test_a_file_where_another_node_has_a_folder_lies_beside_it(store: RunStore) -> None:
    assert bring(store, {"a__b": "0", "c__": ""}, {"a": "1", "c": "1"}) == {
        "a/b": "0",
        "a.conflict-1": "1",
        "c.conflict-1": "1",
    }


def test_large_files_too(store: RunStore) -> None:
    large = "x" * (2 << 20)

    assert set(bring(store, {"a": large}, {"a__b": large}, {"a": large + "y"})) == {
        *("a", "a.conflict-1/b", "a.conflict-2"),
    }


def test_a_name_that_is_as_long_as_can_be_gives_way(store: RunStore) -> None:
    name = "a" * 255

    assert bring(store, {name: "0"}, {name: "1"}) == {name: "0", f"{'a' * 244}.conflict-1": "1"}


def test_what_has_no_place_is_left_and_said_and_keeps_nothing_back(store: RunStore) -> None:
    deep = "__".join(["d" * 200] * 30)
    report = collect._store(left(0, **{deep: "x", "a": "", "a__b": "", "z": "kept"}), "a-run", store, 0)

    assert store.files.read("runs/a-run/files/outputs/z") == b"kept"
    assert [one.partition(" ")[2] for one in json.loads(report or b"")["left"]] == [
        "has a name that is too long for the run store",
        "needs a folder where a file stands",
    ]


@pytest.mark.parametrize(
    ("name", "good"),
    [("node_1/report.json", REPORT), ("ranks/3/exit.json", EXIT), ("node_1/stop.json", STOP)],
)
def test_a_record_that_readers_would_trip_over_stays_behind(name: str, good: dict[str, Any]) -> None:
    assert admission.is_good_record(name, json.dumps(good).encode())
    for key in list(good):
        without = {other: value for other, value in good.items() if other != key}
        assert not admission.is_good_record(name, json.dumps(without).encode()), key
        for value in GARBAGE:
            assert not admission.is_good_record(name, json.dumps({**good, key: value}).encode()), (key, value)


def test_a_node_without_a_report_costs_nobody_elses(store: RunStore) -> None:
    words = [collect._Arrival("node_1/report.json", 2, [b"{}"])]
    first = collect._store(left(0, a="0"), "a-run", store, 0)
    second = collect._store(words, "a-run", store, 1)
    merged = json.loads(merging.merged(first or b"", [(1, second or "node 1 left no report")]))

    assert merged["error"] == "node 1 left no report"
    assert store.files.read("runs/a-run/files/outputs/a") == b"0"


def test_what_only_looks_like_a_stop_record_is_none() -> None:
    assert admission.stop_record(json.dumps(STOP).encode()) == STOP
    for content in (b"", b"[]", json.dumps({**STOP, "detail": []}).encode()):
        assert admission.stop_record(content) == {}
