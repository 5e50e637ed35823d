"""`kill -9` of whoever submits, supervises and looks, in every phase: no run twice, none lost, none misjudged.

Every kill hits at a seeded random time of its phase; `AIRFLOW_TRAIN_FAULTS` sets how many there are. Starts are counted
by marks that the scripts leave outside their working directory.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_train.runtime import protocol
from tests.faults.survival import Attempt, Faults
from tests.faults.victims import Zygote, kill
from tests.targets.lab import Lab, processes_of, until
from tests.wheels import Index

TIMES = int(os.environ.get("AIRFLOW_TRAIN_FAULTS", "15"))

Record = Callable[[str, object], None]


@pytest.fixture
def faults(
    lab: Lab,
    zygote: Zygote,
    request: pytest.FixtureRequest,
    record_property: Record,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Faults]:
    """Named after the test and its phase; hands its numbers to the table."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(lab.marks_folder / "cache"))
    name = request.node.name.removeprefix("test_").replace("_", " ")
    made = Faults(lab, zygote, name)
    yield made
    row = {"what": name, "kills": made.kills, "starts": made.starts, "outcomes": made.outcomes}
    record_property("faults", json.dumps(row))


#: phase → the file that opens it, and for how long kills fall into it, in seconds
SUBMITTER = {
    "before submit": (None, 0.03),
    "staged": ("spec.json", 0.05),
    "running": ("ranks/0/start.json", 0.15),
    "collecting": ("ranks/0/exit.json", 0.03),
    "verdict": ("node_0/report.json", 0.02),
}
SUPERVISOR = {
    "staged": ("node_0/claim.json", 0.05),
    "running": ("ranks/0/start.json", 0.2),
    "collecting": ("ranks/0/exit.json", 0.03),
    "verdict": ("node_0/report.json", 0.005),
}


@pytest.mark.parametrize("phase", SUBMITTER)
def test_submitter(faults: Faults, phase: str) -> None:
    """The run goes on without it, or is started by whoever submits the same attempt again."""
    opens, within = SUBMITTER[phase]
    for _ in faults.until_killed(TIMES):
        attempt = faults.attempt()
        victim = faults.start("submit", attempt)
        if opens is not None:
            faults.there(attempt, opens)
        faults.strike(victim, within)
        record = faults.finish(attempt)
        assert (record.verdict or {})["status"] == "Completed"


def test_supervisor_before_its_claim(faults: Faults) -> None:
    """Nobody has started the run, so whoever submits it again does."""
    for _ in faults.until_killed(TIMES):
        attempt = faults.attempt()
        submitter = faults.start("submit", attempt)
        faults.there(attempt, "node_0/launch.json")
        until(lambda attempt=attempt: processes_of(attempt.run_id), 5)
        kill(submitter)
        for pid, _ in processes_of(attempt.run_id):
            faults.strike(pid, 0.003)
        faults.finish(attempt)


@pytest.mark.parametrize("phase", SUPERVISOR)
def test_supervisor(faults: Faults, phase: str) -> None:
    """Its ranks end within 2 s, and whoever looks next brings home what is there."""
    opens, within = SUPERVISOR[phase]
    for _ in faults.until_killed(TIMES):
        attempt = faults.attempt()
        submitter = faults.start("submit", attempt)
        faults.there(attempt, opens)
        kill(submitter)  # nobody looks while the supervisor dies
        faults.strike(faults.lab.supervisor(attempt.run_id), within)
        until(lambda attempt=attempt: not processes_of(attempt.run_id), 2)
        record = faults.finish(attempt)
        if phase == "verdict":
            assert (record.verdict or {})["status"] == "Completed"


def test_supervisor_that_copies_checkpoints(faults: Faults, tmp_path: Path) -> None:
    """The run has failed, its copies are gone, and those it copied from are as they were."""
    (tmp_path / "kept").mkdir()
    for number in range(100):
        (tmp_path / "kept" / str(number)).write_bytes(b"x" * 200_000)
    for _ in faults.until_killed(TIMES):
        attempt = faults.attempt()
        attempt.definition["resume_from"] = str(tmp_path / "kept")
        submitter = faults.start("submit", attempt)
        faults.there(attempt, "node_0/checkpoints")
        kill(submitter)
        faults.strike(faults.lab.supervisor(attempt.run_id), 0.05)
        until(lambda attempt=attempt: not processes_of(attempt.run_id), 2)
        faults.finish(attempt)
    assert {one.stat().st_size for one in (tmp_path / "kept").iterdir()} == {200_000}


def test_whoever_builds_an_environment(packages: Index, faults: Faults) -> None:
    """The run has failed, its environment is there as a whole or not at all, and the next run that asks has it."""

    def attempt(number: int) -> Attempt:
        made = faults.attempt()
        made.definition["environment"]["python"] = {"pip_packages": [f"probe==1.{number}"]}
        return made

    place = Path(os.environ["AIRFLOW_TRAIN_ENVIRONMENTS"])
    for number in faults.until_killed(TIMES // 3):
        packages.wheel("probe", f"1.{number}")
        killed = attempt(number)
        faults.submit(killed)
        supervisor = faults.lab.supervisor(killed.run_id)
        time.sleep(faults.random.uniform(0, 0.6))
        building = [
            pid for pid, line in processes_of(killed.run_id) if "targets.local" in line or "/uv " in line
        ]
        faults.strike(faults.random.choice([supervisor, *building]), 0.05)
        faults.finish(killed)
        after = attempt(number)
        assert (faults.finish(after).verdict or {})["status"] == "Completed"
        whole = {one.resolve() for one in place.iterdir() if one.is_symlink()}
        assert set(place.joinpath("builds").iterdir()) == whole


def test_supervisor_and_wrappers_at_once(faults: Faults) -> None:
    """The kernel ends the scripts; what these started is ended by whoever looks next."""
    for _ in range(TIMES):
        attempt = faults.attempt(seconds=30)
        faults.submit(attempt)
        starts = faults.lab.started(attempt.run_id, attempt.world_size)
        victims = [one["wrapper"]["pid"] for one in starts]
        victims.insert(faults.random.randrange(len(victims) + 1), faults.lab.supervisor(attempt.run_id))
        faults.strike(victims[0], 0.1)
        for pid in victims[1:]:
            faults.strike(pid, 0)
        record = faults.finish(attempt)
        assert (record.verdict or {})["status"] == "Failed"


def test_looker_that_stands_in_for_the_supervisor(faults: Faults) -> None:
    """However often those who finish a run are killed, it is finished once."""
    for _ in range(TIMES):
        attempt = faults.attempt(seconds=0)
        faults.submit(attempt)
        faults.there(attempt, "ranks/0/exit.json")
        kill(faults.lab.supervisor(attempt.run_id))
        for _ in range(3):
            faults.strike(faults.start("look", attempt), 0.08)
        faults.finish(attempt, again=False)


def test_everybody_at_any_time(faults: Faults) -> None:
    """Submitter and supervisor, at a random time of the whole life of the run."""
    for _ in range(2 * TIMES):
        attempt = faults.attempt(seconds=0.05)
        submitter = faults.start("submit", attempt)
        faults.strike(submitter, 0.3)
        for pid, _ in processes_of(attempt.run_id)[:1]:
            faults.strike(pid, 0.01)
        faults.finish(attempt)


def test_two_submitters_of_one_attempt(faults: Faults) -> None:
    """One start, whoever is first."""
    for _ in range(TIMES + 5):
        attempt = faults.attempt(seconds=0)
        at = time.monotonic() + 0.02
        submitters = [faults.start("submit", attempt, at) for _ in range(2)]
        until(lambda submitters=submitters: not any(map(protocol.start_time, submitters)), 20)
        record = faults.finish(attempt, again=False)
        assert (record.verdict or {})["status"] == "Completed"


def test_two_lookers_at_a_dead_supervisor(faults: Faults) -> None:
    """Both find the same verdict; every output is there once."""
    for _ in range(TIMES):
        attempt = faults.attempt(seconds=0)
        faults.submit(attempt)
        faults.there(attempt, f"ranks/{attempt.world_size - 1}/exit.json")
        faults.strike(faults.lab.supervisor(attempt.run_id), 0.002)
        at = time.monotonic() + 0.02
        lookers = [faults.start("look", attempt, at) for _ in range(2)]
        until(lambda lookers=lookers: not any(map(protocol.start_time, lookers)), 20)
        faults.finish(attempt, again=False)


def test_the_store_stays_readable(faults: Faults) -> None:
    """A listing over runs whose submitters were killed anywhere shows each that exists, once."""
    attempts = [faults.attempt(seconds=0) for _ in range(TIMES)]
    for attempt in attempts:
        faults.strike(faults.start("submit", attempt), 0.02)
    made = {attempt.run_id for attempt in attempts if faults.lab.store.exists(attempt.run_id)}
    assert {one.run_id for one in faults.lab.store.list_runs(limit=None)} == made
    for attempt in attempts:
        faults.finish(attempt)
    assert sorted(one.run_id for one in faults.lab.store.list_runs(limit=None)) == sorted(
        attempt.run_id for attempt in attempts
    )
    assert faults.lab.store.active() == []
