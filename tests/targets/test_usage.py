"""Processor and memory of each node, as metrics beside the script's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_train.lifecycle.run import Run
from airflow_train.runtime import processes, protocol, usage
from tests.targets.lab import Lab, until

BUSY = """
import time
block = bytearray(200 << 20)
while time.process_time() < {seconds}: pass
"""


def last(value: Any) -> float:
    return float(value[-1] if isinstance(value, list) else value)


def test_a_short_run_has_one_sample_of_each_and_its_own_metrics_stay_apart(lab: Lab) -> None:
    run_id = lab.run(BUSY.format(seconds=0.5)).record.run_id
    run = Run(run_id, lab.store)
    found = run.get_system_metrics()

    assert set(found) == {"system/cpu_percent/node0", "system/memory_bytes/node0"}
    assert 2 < found["system/cpu_percent/node0"] < 130  # of one core; on a busy machine it gets a small share
    assert 200 << 20 < found["system/memory_bytes/node0"] < 400 << 20
    assert run.get_metrics() == {}
    assert lab.store.last_metrics(run_id) == {}


def test_each_emulated_node_has_its_own(lab: Lab) -> None:
    code = "block = bytearray(200 << 20) if os.environ['RANK'] == '1' else b''"
    job = {"distribution": {"type": "pytorch"}, "node_count": 2}
    found = Run(lab.run(code, **job).record.run_id, lab.store).get_system_metrics()

    assert found["system/memory_bytes/node1"] > found["system/memory_bytes/node0"] + (150 << 20)


def test_what_a_script_starts_counts_while_it_runs_and_after(tmp_path: Path) -> None:
    """A sample of this process's own child: its processor time stays when it has ended and was waited for."""
    import os
    import subprocess
    import sys

    (tmp_path / "ranks" / "0").mkdir(parents=True)
    start = {"wrapper": {"pid": os.getpid()}}
    (tmp_path / "ranks" / "0" / "start.json").write_text(json.dumps(start))
    taken = usage.Usage({"run_folder": str(tmp_path), "ranks": [{"rank": 0, "node": 0}]})
    before, _ = taken._of_rank(0, processes.children())
    subprocess.run([sys.executable, "-c", BUSY.format(seconds=0.3)], check=True)

    assert taken._of_rank(0, processes.children())[0] - before > 0.1


def test_samples_become_rarer_so_that_a_week_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = usage.Usage({"run_folder": str(tmp_path), "ranks": [{"rank": 0, "node": 0}]})
    now = [1000.0]
    monkeypatch.setattr(usage.time, "monotonic", lambda: now[0])
    taken.begin()
    while now[0] < 1000 + 7 * 24 * 3600:
        now[0] += 10
        taken.look(None)
    lines = (tmp_path / protocol.system_metrics_file(0)).read_text().splitlines()

    assert 5000 < len(lines) / 2 < 8000
    assert sum(map(len, lines)) < 1_500_000


@pytest.mark.only("local")
def test_system_metrics_are_no_progress(lab: Lab) -> None:
    """The supervisor of this run samples all the time, and the run is found hanging all the same."""
    spec = lab.spec("time.sleep(1000)", no_progress_timeout=1, grace_seconds=0)
    lab.submit(spec)
    until(lambda: lab.path(spec.run_id, "ranks", "0", "start.json").exists())
    file = lab.path(spec.run_id, protocol.system_metrics_file(0))
    file.parent.mkdir(exist_ok=True)

    def grown() -> bool:
        with file.open("a") as stream:
            stream.write('{"k":"scalar","n":"system/x","v":1,"t":1}\n')
        return lab.store.record(spec.run_id).stop is not None

    until(grown)
    assert (lab.wait(spec.run_id).record.verdict or {})["reason"] == "no_progress"
