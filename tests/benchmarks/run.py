"""`make bench`: every number that the project has promised, as a table and as JSON.

    tests/benchmarks/run.py [--only NAME …] [--json FILE]

Each module beside this one measures in a process of its own. The exit code is 1 when a budget is missed.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Budget:
    """A promise: `key` of what `module` measures is at most `most`."""

    what: str
    module: str
    key: str
    most: float
    unit: str = ""


BUDGETS = (
    Budget("airflow_train.operators over airflow.sdk, import", "imports", "ms", 10, "ms"),
    Budget("airflow_train.operators over airflow.sdk, memory", "imports", "mb", 2, "MB"),
    Budget("modules loaded that a DAG file doesn't need", "imports", "loaded", 0),
    Budget("EstimatorOperator over a bare subprocess task", "estimator_operator", "added_seconds", 0.15, "s"),
    Budget("200 idle deferred runs in a triggerer, of one core", "deferred_runs", "percent", 5, "%"),
    Budget("snapshot of 10 000 files over a bare walk", "snapshot", "times_the_walk", 3, "×"),
    Budget("a million points, Run.get_metrics", "million_points", "read_seconds", 1, "s"),
    Budget("a million points, airflow-train runs metrics", "million_points", "command_seconds", 1, "s"),
    Budget("a million points, the same with --json", "million_points", "command_json_seconds", 1, "s"),
    Budget("50 runs at once: until the last has started", "fifty_runs", "last_start_seconds", 5, "s"),
    Budget("50 runs at once: started twice or never", "fifty_runs", "twice_or_never", 0),
    Budget("MPI, script's start to first collective, 4 ranks", "mpi_collective", "worst_seconds", 0.5, "s"),
    Budget("10 000 run.log calls", "log_calls", "worst_seconds", 0.2, "s"),
    Budget("100 000 log lines/s: lines lost", "log_lines", "lost", 0),
    Budget("100 000 log lines/s: lines out of order", "log_lines", "out_of_order", 0),
    Budget("100 000 log lines/s: lag p99", "log_lines", "lag_p99_seconds", 1, "s"),
    Budget("100 000 log lines/s: lines in the task log", "log_lines", "task_log_lines", 10_000),
    Budget("100 000 log lines/s: node process, PSS", "log_lines", "node_pss_mb", 25, "MB"),
    Budget("100 000 log lines/s: rank wrapper, PSS", "log_lines", "wrapper_pss_mb", 15, "MB"),
    Budget("on docker over `docker run` and a bare task", "docker_operator", "times_docker_run", 1.25, "×"),
    Budget("on docker over DockerOperator", "docker_operator", "added_seconds", 0.15, "s"),
    # 70 % of the speed of the engine's own calls
    Budget(
        "5 000 files into a container over put_archive", "docker_archive", "small_stage_times_raw", 1.43, "×"
    ),
    Budget("5 000 files home over get_archive", "docker_archive", "small_collect_times_raw", 1.43, "×"),
    Budget("1 GiB into a container over put_archive", "docker_archive", "large_stage_times_raw", 1.43, "×"),
    Budget("1 GiB home over get_archive", "docker_archive", "large_collect_times_raw", 1.43, "×"),
    Budget("1 GiB there and back, memory", "docker_archive", "peak_mb", 50, "MB"),
    Budget("4 containers, time of 100 000 log lines", "docker_logs", "seconds_for_100_000", 1, "s"),
    Budget("4 containers, log lines lost", "docker_logs", "lost", 0),
    Budget("4 containers, log lines repeated", "docker_logs", "repeated", 0),
    Budget("4 nodes, mpirun hostname over a bare script", "nodes", "times_by_hand_4", 1.5, "×"),
    Budget("4 nodes, the same over ssh and sshd", "nodes", "times_by_ssh_4", 1, "×"),
    Budget("16 nodes, mpirun hostname over a bare script", "nodes", "times_by_hand_16", 1.5, "×"),
    Budget("16 nodes, the same over ssh and sshd", "nodes", "times_by_ssh_16", 1, "×"),
    Budget("4 nodes, last start to first collective", "nodes", "first_collective_4", 0.8, "s"),
    Budget("16 nodes, last start to first collective", "nodes", "first_collective_16", 2, "s"),
    # 95 % of the speed of the same mpirun
    Budget("allreduce of 64 MB over mpirun by hand", "allreduce", "times_by_hand", 1.053, "×"),
    Budget("epoch of the Horovod example over the same", "horovod_epoch", "times_by_hand", 1.05, "×"),
    Budget("200 idle deferred runs on docker, of one core", "deferred_docker", "percent", 5, "%"),
    Budget("20 × kill, pause, cut × Open MPI 4, 5: not named", "node_losses", "wrong", 0),
    Budget("20 × kill, pause, cut × Open MPI 4, 5: slowest", "node_losses", "slowest_seconds", 10, "s"),
    # last: what it made is removed behind our back
    Budget("newest 50 of 100 000 runs, cold", "listing", "ms", 45, "ms"),
)


@dataclass(frozen=True)
class Row:
    """A promise and what became of it."""

    what: str
    figure: float | None
    budget: float
    unit: str
    kept: bool
    problem: str = ""


def main() -> int:
    """Measure, print the table, write the JSON."""
    modules = list(dict.fromkeys(one.module for one in BUDGETS))
    parser = argparse.ArgumentParser(description="Measure what was promised.")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=modules, default=modules)
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir(), "airflow-train-bench.json"))
    parser.add_argument("--measure", choices=modules, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(_measure(options.measure)))
        return 0
    measured = {name: _in_own_process(name) for name in modules if name in options.only}
    rows = [_row(one, measured[one.module]) for one in BUDGETS if one.module in measured]
    _print(rows)
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    document = {"machine": machine, "rows": [asdict(row) for row in rows], "measured": measured}
    options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"\nJSON: {options.json}")
    return 0 if all(row.kept for row in rows) else 1


def _measure(name: str) -> dict[str, Any]:
    measure = import_module(f"tests.benchmarks.{name}").measure
    first = next(iter(inspect.signature(measure).parameters.values()), None)
    if first is None or first.name != "folder":
        return dict(measure())
    with tempfile.TemporaryDirectory() as folder:
        return dict(measure(Path(folder)))


def _in_own_process(name: str) -> dict[str, Any]:
    began = time.monotonic()
    print(f"{name} …", end=" ", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--measure", name]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    environment["PYTHONPATH"] = str(REPOSITORY)
    with tempfile.TemporaryDirectory() as home:
        environment["AIRFLOW_HOME"] = home
        done = subprocess.run(command, env=environment, cwd=home, capture_output=True, check=False)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    if done.returncode:
        return {"problem": (done.stderr.decode(errors="replace").strip().splitlines() or ["it failed"])[-1]}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _row(one: Budget, measured: Mapping[str, Any]) -> Row:
    problem = str(measured.get("problem", ""))
    found = measured.get(one.key)
    if isinstance(found, list):
        problem, found = ", ".join(map(str, found)), len(found)
    if found is None:
        return Row(
            one.what, None, one.most, one.unit, kept=False, problem=problem or f"no {one.key} was measured"
        )
    return Row(
        one.what,
        float(found),
        one.most,
        one.unit,
        kept=found <= one.most and not measured.get("problem"),
        problem=problem,
    )


def _print(rows: list[Row]) -> None:
    print(f"{'':<50}{'measured':>12}{'budget':>12}")
    for row in rows:
        figure = "–" if row.figure is None else f"{row.figure:,.6g} {row.unit}".strip()
        budget = f"≤ {row.budget:,.6g} {row.unit}".strip()
        print(
            f"{row.what:<50}{figure:>12}{budget:>12}  {'ok' if row.kept else 'MISSED'}  {row.problem}".rstrip()
        )


if __name__ == "__main__":
    sys.exit(main())
