"""Ten ask, one builds: whatever becomes of that one, and wherever the others are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train.environments.once import once
from airflow_train.exceptions import BuildFailed, InfrastructureFailure
from airflow_train.runtime import protocol
from airflow_train.store.files import Files
from tests.targets.lab import until

#: Processes without the threads of this one.
spawn = multiprocessing.get_context("forkserver")


def ask(place: Path, says: Any, how: str = "") -> None:
    """One of those who ask: what is built is a file `made`; every build leaves a line in `builds`."""
    made = place / "made"

    def build() -> str:
        with open(place / "builds", "a") as file:
            file.write(f"{os.getpid()}\n")
        until((place / "go").exists)
        if how == "wrong":
            raise BuildFailed("six==99: there is none.")
        made.write_text("whole")
        return "built"

    def find() -> str | None:
        return "found" if made.exists() else None

    files = Files.open(str(place / "store"))
    try:
        says.put(once(files, "builders", find=find, build=build, say=says.put, run_id="r"))
    except (BuildFailed, InfrastructureFailure) as error:
        says.put(error)


def askers(place: Path, count: int, how: str = "") -> tuple[list[Any], Any]:
    says = spawn.Queue()
    started = [spawn.Process(target=ask, args=(place, says, how)) for _ in range(count)]
    for one in started:
        one.start()
    return started, says


def builds(place: Path) -> list[int]:
    return (
        [int(line) for line in (place / "builds").read_text().split()] if (place / "builds").exists() else []
    )


def heard(says: Any, count: int) -> list[Any]:
    return [says.get(timeout=20) for _ in range(count)]


def outcomes(says: Any, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        found += [one for one in heard(says, 1) if "waiting" not in one]
    return sorted(found)


def test_of_ten_that_ask_at_once_one_builds_and_nine_say_whom_they_wait_for(tmp_path: Path) -> None:
    _, says = askers(tmp_path, 10)
    waiting = heard(says, 9)
    (tmp_path / "go").touch()

    [builder] = builds(tmp_path)
    assert all(
        f"process {builder} on {os.uname().nodename}, which builds it for run r" in one for one in waiting
    )
    assert sorted(heard(says, 10)) == ["built"] + ["found"] * 9
    assert builds(tmp_path) == [builder]


def test_a_builder_that_is_killed_is_replaced_by_one_of_those_who_wait(tmp_path: Path) -> None:
    _, says = askers(tmp_path, 4)
    heard(says, 3)
    os.kill(builds(tmp_path)[0], signal.SIGKILL)
    until(lambda: len(builds(tmp_path)) == 2)
    (tmp_path / "go").touch()

    assert outcomes(says, 3) == ["built", "found", "found"]
    assert len(builds(tmp_path)) == 2


def test_who_waited_shares_the_failure_and_who_comes_later_builds_anew(tmp_path: Path) -> None:
    _, says = askers(tmp_path, 5, "wrong")
    heard(says, 4)
    (tmp_path / "go").touch()

    assert {str(one) for one in heard(says, 5)} == {"six==99: there is none."}
    assert len(builds(tmp_path)) == 1
    _, says = askers(tmp_path, 1)
    assert heard(says, 1) == ["built"]


def test_who_waits_can_stop_waiting(tmp_path: Path) -> None:
    _, says = askers(tmp_path, 1)
    until(lambda: builds(tmp_path))

    def check() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        once(
            Files.open(str(tmp_path / "store")),
            "builders",
            find=lambda: None,
            build=lambda: "",
            say=print,
            check=check,
        )
    (tmp_path / "go").touch()
    assert heard(says, 1) == ["built"]


def elsewhere() -> dict[str, Any]:
    return {**protocol.identity(), "host": "another", "at": protocol.timestamp(), "run_id": ""}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LEASE_SECONDS", 1.0)


def test_a_builder_of_another_machine_is_given_up_when_it_isnt_heard_any_more(
    tmp_path: Path, impatient: None
) -> None:
    files, said = Files.open(str(tmp_path)), []
    files.create_json("b/0001.json", elsewhere())
    began = time.monotonic()

    assert once(files, "b", find=lambda: None, build=lambda: "built", say=said.append) == "built"
    assert time.monotonic() - began > 1.0
    assert "process" in said[0]
    assert "on another" in said[0]


def test_and_not_as_long_as_it_is_heard(tmp_path: Path, impatient: None) -> None:
    files = Files.open(str(tmp_path))
    files.create_json("b/0001.json", elsewhere())
    beats: list[float] = []

    def find() -> str | None:
        beats.append(time.monotonic())
        files.write_json("b/0001.beat", {"at": str(len(beats))})
        return "found" if beats[-1] - beats[0] > 2.0 else None

    assert once(files, "b", find=find, build=never, say=lambda _: None) == "found"


def never() -> str:
    raise AssertionError


def test_a_builder_shows_others_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEARTBEAT_SECONDS", 0.05)
    files = Files.open(str(tmp_path))

    def build() -> str:
        beat: Callable[[], object] = lambda: files.read_json_or_none("b/0001.beat")  # noqa: E731
        until(beat)
        first = beat()
        until(lambda: beat() != first)
        return "built"

    assert once(files, "b", find=lambda: None, build=build, say=print) == "built"
    assert files.read_json("b/0001.ended.json")["error"] is None


def test_what_was_built_between_two_looks_isnt_built_again(tmp_path: Path) -> None:
    looks = iter([None, "found"])

    assert once(Files.open(str(tmp_path)), "b", find=lambda: next(looks), build=never, say=print) == "found"
