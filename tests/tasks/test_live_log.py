"""The task log is live, batched and bounded; what it leaves out is in the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_train.store import layout
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.tasks.live_log import LiveLog

RUN = "train-abc"


class Log:
    """A task log that remembers its events; time stands still until the test moves it."""

    def __init__(self, store: RunStore, lines: int = 10_000, since: str = "") -> None:
        self.events: list[tuple[int, str, str]] = []
        self.now = 0.0
        self.live = LiveLog(
            store,
            RUN,
            lines=lines,
            since=since,
            emit=lambda *event: self.events.append(event),
            clock=lambda: self.now,
        )

    @property
    def lines(self) -> list[str]:
        return [line for _, text, _ in self.events for line in text.split("\n")]


@pytest.fixture
def store(store_uri: str) -> RunStore:
    return open_store(store_uri)


def write(store: RunStore, rank: int, *texts: str, second: int = 0) -> None:
    """Append lines to a rank's log as its wrapper does."""
    path = Path(store.uri) / layout.rank_log(RUN, rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"2026-11-21T05:00:{second:02d}.000Z {text}\n" for text in texts)


def test_fifty_lines_make_one_event_and_every_line_names_its_rank(store: RunStore) -> None:
    log = Log(store)
    write(store, 3, *map(str, range(120)))
    log.live.show()
    assert [text.count("\n") + 1 for _, text, _ in log.events] == [50, 50]
    log.live.finish("uri")
    assert log.lines == [f"[3] {number}" for number in range(120)]
    assert {rank for rank, _, _ in log.events} == {3}


def test_a_rank_writes_a_partial_event_at_most_once_a_second(store: RunStore) -> None:
    log = Log(store)
    for number, now in enumerate([0.0, 0.3, 0.6, 1.1, 1.5]):
        write(store, 0, str(number))
        log.now = now
        log.live.show()
    assert [text for _, text, _ in log.events] == ["[0] 0", "[0] 1\n[0] 2\n[0] 3"]


def test_events_bear_the_sources_time_but_none_before_the_attempt(store: RunStore) -> None:
    log = Log(store, since="2026-11-21T05:00:10.000Z")
    write(store, 0, "old", second=5)
    write(store, 1, "new", second=20)
    log.live.show()
    assert [time for _, _, time in log.events] == ["2026-11-21T05:00:10.000Z", "2026-11-21T05:00:20.000Z"]


def test_a_flood_is_cut_to_head_sample_and_tail_and_says_how_much_is_missing(store: RunStore) -> None:
    log = Log(store, lines=1000)
    write(store, 0, *map(str, range(100_000)))
    log.live.show()
    assert len(log.lines) <= 1000
    log.live.finish("/store/logs")
    [notice] = [line for line in log.lines if "not shown" in line]
    shown = [line for line in log.lines if line != notice]
    assert len(log.lines) <= 1001
    assert shown[:500] == [f"[0] {number}" for number in range(500)]
    assert shown[-250:] == [f"[0] {number}" for number in range(99_750, 100_000)]
    assert 800 < len(shown) < 1000, "and a sample in between, not spent yet"
    assert notice == f"{100_000 - len(shown)} lines not shown, all in /store/logs"


def test_every_rank_is_in_the_sample(store: RunStore) -> None:
    log = Log(store, lines=400)
    for second in range(50):
        for rank in range(4):
            write(store, rank, *["x"] * 100, second=second)
    log.live.show()
    log.now += 2
    log.live.show()
    sampled = log.lines[200:]
    assert {line[:3] for line in sampled} == {"[0]", "[1]", "[2]", "[3]"}


def test_two_megabytes_at_most_however_long_the_lines(store: RunStore) -> None:
    log = Log(store)
    write(store, 0, *["ä" * 3_000] * 2_000, "y" * 1_000_000)
    log.live.finish("uri")
    assert sum(len(text.encode()) for _, text, _ in log.events) < 2_100_000
    assert log.lines[-1].endswith("996000 characters more")
