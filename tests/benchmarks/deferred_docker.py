"""What two hundred deferred runs on docker cost a triggerer while nothing happens: share of one core.

The containers are real and live; instead of training they show a sign of life now and then, as supervisors do.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from airflow_train.runtime import protocol
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.targets.docker import plan
from airflow_train.targets.docker.engine import Engine
from tests.benchmarks.deferred_runs import RUNS, live_run, share
from tests.targets.lab import DOCKER, IMAGE

_NODE = f"{plan.RUN_FOLDER}/{protocol.node_folder(0)}"
_COMMAND = (
    f"mkdir -p {_NODE} {plan.OUTBOX}; while touch {_NODE}/{protocol.HEARTBEAT_FILE}; "
    f"do sleep {protocol.HEARTBEAT_SECONDS:g}; done"
)


def measure(folder: Path, runs: int = RUNS) -> dict[str, Any]:
    """`percent` of one core that a process uses which watches so many runs."""
    store, engine = open_store(str(folder / "store")), Engine({})
    names = [f"idle-{folder.name.lower().replace('_', '-')}-{number}" for number in range(runs)]
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: _start(store, engine, name), names))
        return {"runs": runs, "percent": round(100 * asyncio.run(share(store, names)), 2)}
    finally:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: engine.remove(plan.container_name(name)), names))


def _start(store: RunStore, engine: Engine, run_id: str) -> None:
    container = plan.container_name(run_id)
    labels, command = {plan.LABEL: "", plan.RUN_LABEL: run_id}, ["sh", "-c", _COMMAND]
    engine.client().create_container(IMAGE, command, name=container, labels=labels, network_disabled=True)
    engine.start(container)
    live_run(store, run_id, DOCKER, {"container": container, "engine": engine.identity()})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(measure(Path(home), *map(int, sys.argv[1:])), indent=2))
