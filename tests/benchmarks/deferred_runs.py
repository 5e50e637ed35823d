"""What two hundred deferred runs cost a triggerer while nothing happens: share of one core.

The runs are records that a live process (this one) has claimed, so that each look finds a supervisor that lives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.tasks import store_watch

RUNS = 200
SECONDS = 30.0


def measure(folder: Path) -> dict[str, Any]:
    """`percent` of one core that a process uses which watches 200 runs."""
    store = open_store(str(folder / "store"))
    target = {"name": "local", "type": "local", "options": {}}
    names = [live_run(store, f"idle-{number}", target, {}) for number in range(RUNS)]
    return {"runs": RUNS, "percent": round(100 * asyncio.run(share(store, names)), 2)}


def live_run(store: RunStore, run_id: str, target: Mapping[str, Any], claim: Mapping[str, Any]) -> str:
    """Records of a run that goes on; returns its id.

    :param claim: who has it, beside this process.
    """
    job = {"tags": {}, "node_count": 1, "process_count_per_node": 1}
    spec = RunSpec(run_id, "idle", protocol.timestamp(), {}, job, target, {"id": "none"}, {}, {}, {})
    store.create(spec)
    store.add_owner(run_id, f"owner of {run_id}")
    for phase in ("start", "stage", "run"):
        store.add_event(run_id, phase, "", "benchmark")
    who = {**protocol.identity(), "at": protocol.timestamp()}
    store.take_claim(run_id, {**who, **claim})
    store.files.create_json(
        layout.rank_start(run_id, 0), {"rank": 0, "at": who["at"], "wrapper": who, "script": who}
    )
    store.files.write(layout.heartbeat(run_id), layout.as_json({"at": who["at"], "beat": 0}))
    return run_id


async def share(store: RunStore, names: list[str]) -> float:
    """Share of a core that watching these runs takes."""

    async def wait(run_id: str, heard: asyncio.Event) -> None:
        with store_watch.watching(store.uri, run_id) as news:
            while True:
                await news.get()
                heard.set()

    first_looks = [asyncio.Event() for _ in names]
    waiting = [asyncio.create_task(wait(*pair)) for pair in zip(names, first_looks, strict=True)]
    await asyncio.gather(*(one.wait() for one in first_looks))
    await asyncio.sleep(5)
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(SECONDS)
    share = (time.process_time() - cpu) / (time.monotonic() - began)
    for task in waiting:
        task.cancel()
    return share
