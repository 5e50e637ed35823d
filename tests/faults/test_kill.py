"""`kill -9` of whoever submits, supervises and looks, in every phase: no run twice, none lost, none misjudged.

Every kill hits at a seeded random time of its phase; `AIRFLOW_TRAIN_FAULTS` sets how many there are. Starts are counted
by marks that the scripts leave outside their working directory.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_train.lifecycle import wait
from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from tests.faults.victims import Zygote, kill
from tests.targets.lab import Lab, processes_of, until

TIMES = int(os.environ.get("AIRFLOW_TRAIN_FAULTS", "15"))
POLL = 0.02
OUTPUTS = 40
#: Leaves files to collect, works for the seconds of its argument, and may be deaf to TERM.
SCRIPT = f"""
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[2] == "polite":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
subprocess.Popen(["sleep", "1000"], start_new_session=True)
for n in range({OUTPUTS}):
    with open("outputs/%s-%d" % (os.environ["AIRFLOW_TRAIN_RANK"], n), "w") as file:
        file.write("whole")
time.sleep(float(sys.argv[1]))
mark("end " + os.environ["AIRFLOW_TRAIN_RANK"])
"""

Record = Callable[[str, object], None]


class Faults:
    """Runs that somebody was killed under, and what became of them."""

    def __init__(self, lab: Lab, zygote: Zygote, what: str) -> None:
        self.lab, self.zygote = lab, zygote
        self.random = random.Random(what)
        self.outcomes: Counter[str] = Counter()
        self.kills = self.starts = 0

    def spec(self, seconds: float = 0.1) -> RunSpec:
        """A run that takes so long, of one rank or two."""
        ranks = self.random.choice([1, 2])
        manner = self.random.choice(["plain", "deaf", "polite"])
        distribution = {"type": "pytorch"} if ranks == 2 else None
        return self.lab.spec(
            SCRIPT,
            arguments=[str(seconds), manner],
            distribution=distribution,
            process_count_per_node=ranks,
            tags={"manner": manner},
        )

    def until_killed(self, times: int) -> Iterator[int]:
        """Goes on until so many victims were met alive; in the last phases they often end of their own accord."""
        for number in range(10 * times):
            if self.kills >= times:
                return
            yield number
        raise AssertionError(f"only {self.kills} of {times} victims were met alive")

    def start(self, what: str, spec: RunSpec, at: float = 0.0) -> int:
        """A victim."""
        return self.zygote.start(what, self.lab.store.uri, spec.to_json(), at)

    def there(self, spec: RunSpec, name: str) -> None:
        """Wait for a file of the run, without a pause."""
        path = str(self.lab.path(spec.run_id, *name.split("/")))
        deadline = time.monotonic() + 20
        while not os.path.exists(path):
            assert time.monotonic() < deadline, f"{name} never came"

    def strike(self, pid: int, within: float) -> None:
        """Kill after a random time."""
        deadline = time.monotonic() + self.random.uniform(0, within)
        while time.monotonic() < deadline:
            pass
        self.kills += kill(pid)

    def finish(self, spec: RunSpec, again: bool = True) -> RunRecord:
        """Let the next process look, then hold the verdict against what really happened."""
        if again:
            self.lab.submit(spec)
        view = wait.wait(self.lab.store, spec.run_id, poll_interval=POLL, timeout=20)
        assert view.terminal, f"{spec.run_id} is lost: {view.status}"
        record = self.lab.store.record(spec.run_id)
        self._check(record)
        self.starts += sum(word.startswith("start") for word in self.lab.marks(spec.run_id))
        finished_by = " by a successor" if (record.report or {}).get("by") == protocol.SUCCESSOR else ""
        self.outcomes[f"{view.status}{finished_by}"] += 1
        return record

    def _check(self, record: RunRecord) -> None:
        run_id, ranks = record.run_id, range(record.spec.world_size)
        marks = Counter(self.lab.marks(run_id))
        assert all(marks[f"start {rank}"] <= 1 for rank in ranks), f"{run_id} ran twice: {marks}"
        exits = [record.exits.get(rank, {}) for rank in ranks]
        well = [one.get("code") == 0 and one.get("stopped_by") is None for one in exits]
        completed = (record.verdict or {})["status"] == "Completed"
        assert completed == all(well), f"{run_id} is misjudged: {record.verdict} of {exits}"
        assert not completed or all(marks[f"end {rank}"] == 1 for rank in ranks)
        assert completed or (record.verdict or {})["reason"] == "infrastructure", record.verdict
        for rank in ranks if completed else ():
            for number in range(OUTPUTS):
                assert self.lab.output(run_id, f"outputs/{rank}-{number}") == "whole"
        assert not (record.report or {}).get("conflicts")
        assert self.lab.nothing_left(run_id)
        assert self.lab.store.settled(record.spec)
        assert self.lab.store.summary(run_id) is not None


@pytest.fixture
def faults(
    lab: Lab, zygote: Zygote, request: pytest.FixtureRequest, record_property: Record
) -> Iterator[Faults]:
    """Named after the test and its phase; hands its numbers to the table."""
    name = request.node.name.removeprefix("test_").replace("_", " ")
    made = Faults(lab, zygote, name)
    yield made
    row = {"what": name, "kills": made.kills, "starts": made.starts, "outcomes": made.outcomes}
    record_property("faults", json.dumps(row))


#: phase → the file that opens it, and for how long kills fall into it, in seconds
SUBMITTER = {
    "before submit": (None, 0.015),
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
        spec = faults.spec()
        victim = faults.start("submit", spec)
        if opens is not None:
            faults.there(spec, opens)
        faults.strike(victim, within)
        record = faults.finish(spec)
        assert (record.verdict or {})["status"] == "Completed"


def test_supervisor_before_its_claim(faults: Faults) -> None:
    """Nobody has started the run, so whoever submits it again does."""
    for _ in faults.until_killed(TIMES):
        spec = faults.spec()
        submitter = faults.start("submit", spec)
        faults.there(spec, "node_0/launch.json")
        until(lambda spec=spec: processes_of(spec.run_id), 5)
        kill(submitter)
        for pid, _ in processes_of(spec.run_id):
            faults.strike(pid, 0.003)
        faults.finish(spec)


@pytest.mark.parametrize("phase", SUPERVISOR)
def test_supervisor(faults: Faults, phase: str) -> None:
    """Its ranks end within 2 s, and whoever looks next brings home what is there."""
    opens, within = SUPERVISOR[phase]
    for _ in faults.until_killed(TIMES):
        spec = faults.spec()
        submitter = faults.start("submit", spec)
        faults.there(spec, opens)
        kill(submitter)  # nobody looks while the supervisor dies
        faults.strike(faults.lab.supervisor(spec.run_id), within)
        until(lambda spec=spec: not processes_of(spec.run_id), 2)
        record = faults.finish(spec)
        if phase == "verdict":
            assert (record.verdict or {})["status"] == "Completed"


def test_supervisor_and_wrappers_at_once(faults: Faults) -> None:
    """The kernel ends the scripts; what these started is ended by whoever looks next."""
    for _ in range(TIMES):
        spec = faults.spec(seconds=30)
        faults.lab.submit(spec)
        starts = faults.lab.started(spec.run_id, spec.world_size)
        victims = [one["wrapper"]["pid"] for one in starts]
        victims.insert(faults.random.randrange(len(victims) + 1), faults.lab.supervisor(spec.run_id))
        faults.strike(victims[0], 0.1)
        for pid in victims[1:]:
            faults.strike(pid, 0)
        record = faults.finish(spec)
        assert (record.verdict or {})["status"] == "Failed"


def test_looker_that_stands_in_for_the_supervisor(faults: Faults) -> None:
    """However often those who finish a run are killed, it is finished once."""
    for _ in range(TIMES):
        spec = faults.spec(seconds=0)
        faults.lab.submit(spec)
        faults.there(spec, "ranks/0/exit.json")
        kill(faults.lab.supervisor(spec.run_id))
        for _ in range(3):
            faults.strike(faults.start("look", spec), 0.08)
        faults.finish(spec, again=False)


def test_everybody_at_any_time(faults: Faults) -> None:
    """Submitter and supervisor, at a random time of the whole life of the run."""
    for _ in range(2 * TIMES):
        spec = faults.spec(seconds=0.05)
        submitter = faults.start("submit", spec)
        faults.strike(submitter, 0.3)
        for pid, _ in processes_of(spec.run_id)[:1]:
            faults.strike(pid, 0.01)
        faults.finish(spec)


def test_two_submitters_of_one_attempt(faults: Faults) -> None:
    """One start, whoever is first."""
    for _ in range(TIMES + 5):
        spec = faults.spec(seconds=0)
        at = time.monotonic() + 0.02
        submitters = [faults.start("submit", spec, at) for _ in range(2)]
        until(lambda submitters=submitters: not any(map(protocol.start_time, submitters)), 20)
        record = faults.finish(spec, again=False)
        assert (record.verdict or {})["status"] == "Completed"


def test_two_lookers_at_a_dead_supervisor(faults: Faults) -> None:
    """Both find the same verdict; every output is there once."""
    for _ in range(TIMES):
        spec = faults.spec(seconds=0)
        faults.lab.submit(spec)
        faults.there(spec, f"ranks/{spec.world_size - 1}/exit.json")
        faults.strike(faults.lab.supervisor(spec.run_id), 0.002)
        at = time.monotonic() + 0.02
        lookers = [faults.start("look", spec, at) for _ in range(2)]
        until(lambda lookers=lookers: not any(map(protocol.start_time, lookers)), 20)
        faults.finish(spec, again=False)


def test_the_store_stays_readable(faults: Faults, tmp_path: Path) -> None:
    """A listing over runs whose submitters were killed anywhere shows each that exists, once."""
    specs = [faults.spec(seconds=0) for _ in range(TIMES)]
    for spec in specs:
        faults.strike(faults.start("submit", spec), 0.02)
    made = {spec.run_id for spec in specs if faults.lab.store.exists(spec.run_id)}
    assert {one.run_id for one in faults.lab.store.list_runs(limit=None)} == made
    for spec in specs:
        faults.finish(spec)
    assert sorted(one.run_id for one in faults.lab.store.list_runs(limit=None)) == sorted(
        spec.run_id for spec in specs
    )
    assert faults.lab.store.active() == []
