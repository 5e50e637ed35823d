"""Runs under which somebody is killed, and whether what the store says of them is what really happened."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airflow_train.lifecycle import wait
from airflow_train.lifecycle.submit import submit
from airflow_train.runs import ids
from airflow_train.runs.record import RunRecord
from airflow_train.runtime import protocol
from tests.faults.victims import Zygote, kill
from tests.targets.lab import PROLOGUE, Lab

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


@dataclass(frozen=True)
class Attempt:
    """What is submitted, again and again, under one id."""

    run_id: str
    definition: dict[str, Any]
    world_size: int


class Faults:
    """Runs that somebody was killed under, and what became of them."""

    def __init__(self, lab: Lab, zygote: Zygote, what: str) -> None:
        self.lab, self.zygote = lab, zygote
        self.random = random.Random(what)
        self.outcomes: Counter[str] = Counter()
        self.kills = self.starts = 0

    def attempt(self, seconds: float = 0.1) -> Attempt:
        """A run that takes so long, of one rank or two, with a memory limit or without, with code of its own."""
        ranks = self.random.choice([1, 2])
        manner = self.random.choice(["plain", "deaf", "polite"])
        run_id = ids.drawn("faults")
        self.lab.run_ids.append(run_id)
        source = self.lab.marks_folder / "sources" / run_id
        source.mkdir(parents=True)
        (source / "train.py").write_text(PROLOGUE + SCRIPT)
        for number in range(10):
            (source / f"data {number}.txt").write_text(f"{run_id} {number}\n" * 1000)
        definition = {
            "type": "ScriptRunConfig",
            "source_directory": str(source),
            "script": "train.py",
            "arguments": [str(seconds), manner],
            "compute_target": "local",
            "environment": {"name": "e", "environment_variables": {"MARK": str(self.lab.mark_file(run_id))}},
        }
        if self.random.random() < 0.5:  # control groups are one thing more to be left behind
            definition["memory"] = "512Mi"
        if ranks == 2:
            definition["distributed_job_config"] = {"type": "pytorch", "process_count": 2}
        return Attempt(run_id, definition, ranks)

    def until_killed(self, times: int) -> Iterator[int]:
        """Goes on until so many victims were met alive; in the last phases they often end of their own accord."""
        for number in range(10 * times):
            if self.kills >= times:
                return
            yield number
        raise AssertionError(f"only {self.kills} of {times} victims were met alive")

    def start(self, what: str, attempt: Attempt, at: float = 0.0) -> int:
        """A victim."""
        return self.zygote.start(what, self.lab.store.uri, attempt.run_id, attempt.definition, at)

    def submit(self, attempt: Attempt) -> None:
        """What the next process does that wants this run."""
        submit(self.lab.store, attempt.definition, run_id=attempt.run_id)

    def there(self, attempt: Attempt, name: str) -> None:
        """Wait for a file of the run, without a pause."""
        path = str(self.lab.path(attempt.run_id, *name.split("/")))
        deadline = time.monotonic() + 20
        while not os.path.exists(path):
            assert time.monotonic() < deadline, f"{name} never came"

    def strike(self, pid: int, within: float) -> None:
        """Kill after a random time."""
        deadline = time.monotonic() + self.random.uniform(0, within)
        while time.monotonic() < deadline:
            pass
        self.kills += kill(pid)

    def finish(self, attempt: Attempt, again: bool = True) -> RunRecord:
        """Let the next process look, then hold the verdict against what really happened."""
        if again:
            self.submit(attempt)
        view = wait.wait(self.lab.store, attempt.run_id, poll_interval=POLL, timeout=20)
        assert view.terminal, f"{attempt.run_id} is lost: {view.status}"
        record = self.lab.store.record(attempt.run_id)
        self._check(record)
        self.starts += sum(word.startswith("start") for word in self.lab.marks(attempt.run_id))
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
        assert not (record.report or {}).get("conflicts"), f"{run_id} collected twice: {record.report}"
        assert self.lab.nothing_left(run_id)
        assert self.lab.store.settled(record.spec)
        assert self.lab.store.summary(run_id) is not None
