"""Lines come whole, in order and with a time, however they lie in their file."""

from __future__ import annotations

import pytest

from airflow_train.lifecycle import follow
from airflow_train.lifecycle.follow import Follower, LogLine
from airflow_train.store import layout
from airflow_train.store.files import Files
from airflow_train.store.run_store import RunStore

TIMES = [f"2026-11-21T05:00:0{second}.000Z" for second in range(5)]


@pytest.fixture
def store(store_uri: str) -> RunStore:
    return RunStore(Files.open(store_uri))


def write(store: RunStore, rank: int, text: str) -> None:
    store.files.write(layout.rank_log("run-a", rank), text.encode())


def test_ranks_are_merged_by_time_and_an_open_line_waits_for_its_end(store: RunStore) -> None:
    write(store, 0, f"{TIMES[0]} a\n{TIMES[2]} c\n{TIMES[3]} op")
    write(store, 1, f"{TIMES[1]} b\n")
    follower = Follower(store, "run-a")
    assert [line.text for line in follower.poll()] == ["a", "b", "c"]
    assert follower.poll() == []
    write(store, 0, f"{TIMES[0]} a\n{TIMES[2]} c\n{TIMES[3]} open\n")
    assert follower.poll() == [LogLine(0, TIMES[3], "open")]


def test_a_line_longer_than_a_piece_keeps_its_time_and_its_letters(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PIECE", 32)
    write(store, 0, f"{TIMES[0]} {'ä' * 40}\n{TIMES[1]} next\n")
    lines = list(Follower(store, "run-a").drain())
    assert "".join(line.text for line in lines[:-1]) == "ä" * 40
    assert {line.time for line in lines[:-1]} == {TIMES[0]}
    assert lines[-1] == LogLine(0, TIMES[1], "next")


def test_a_file_that_only_looks_like_a_log_is_none(store: RunStore) -> None:
    write(store, 0, f"{TIMES[0]} a\n")
    store.files.write(f"{layout.user_logs('run-a')}/std_log_process_0.txt.bak", b"x")
    assert [line.text for line in Follower(store, "run-a").drain()] == ["a"]


def test_of_a_progress_bar_the_last_state_is_shown(store: RunStore) -> None:
    write(store, 0, f"{TIMES[0]} 10%\r50%\r100%\r\n")
    assert [line.text for line in Follower(store, "run-a").drain()] == ["100%"]


def test_what_builds_the_environment_is_heard_before_the_ranks_and_is_none_of_them(store: RunStore) -> None:
    follower = Follower(store, "run-a")
    assert follower.poll() == []
    store.files.write(layout.build_log("run-a"), f"{TIMES[0]} Resolved\n{TIMES[1]} Inst".encode())
    assert [(line.speaker, line.text) for line in follower.poll()] == [("build", "Resolved")]
    store.files.write(layout.build_log("run-a"), f"{TIMES[0]} Resolved\n{TIMES[1]} Installed\n".encode())
    write(store, 0, f"{TIMES[2]} a\n")
    assert [(line.speaker, line.text) for line in follower.poll()] == [("build", "Installed"), ("0", "a")]
    assert [line.text for line in Follower(store, "run-a", rank=0).drain()] == ["a"]
