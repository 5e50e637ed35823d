"""Containers, volumes and networks that nobody owns: their run has ended unswept, or is gone from the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from airflow_train.targets.base import Leftover
from airflow_train.targets.docker import plan
from airflow_train.targets.docker.engine import Engine

_CONTAINER, _VOLUME, _NETWORK = "container ", "volume ", "network "


def find(engine: Engine, store: RunStore) -> list[Leftover]:
    """Everything that carries this store's label and belongs to no run that goes on; containers first."""
    found = []
    for run_id, what, made in _ours(engine, store):
        why = _why(run_id, store)
        if why:
            found.append(Leftover(run_id, what, why, max(0.0, time.time() - made)))
    return found


def remove(engine: Engine, leftover: Leftover) -> None:
    """Remove it, whatever it is."""
    if leftover.what.startswith(_CONTAINER):
        engine.remove(leftover.what.removeprefix(_CONTAINER))
    elif leftover.what.startswith(_NETWORK):
        engine.remove_networks(leftover.run_id)
    else:
        engine.remove_volume(leftover.what.removeprefix(_VOLUME))


def _ours(engine: Engine, store: RunStore) -> Iterator[tuple[str, str, float]]:
    """Run id, kind and name, and when it was made, in seconds since 1970."""
    identity = store.identity()
    for one in engine.containers():
        if one["Labels"].get(plan.STORE_LABEL) == identity:
            name = str(one["Names"][0]).lstrip("/")
            yield one["Labels"][plan.RUN_LABEL], f"{_CONTAINER}{name}", float(one["Created"])
    for one in engine.volumes():
        if (one["Labels"] or {}).get(plan.STORE_LABEL) == identity:
            made = datetime.fromisoformat(one["CreatedAt"]).timestamp()
            yield one["Labels"][plan.RUN_LABEL], f"{_VOLUME}{one['Name']}", made
    for one in engine.networks():
        if (one["Labels"] or {}).get(plan.STORE_LABEL) == identity:
            made = datetime.fromisoformat(one["Created"]).timestamp()
            yield one["Labels"][plan.RUN_LABEL], f"{_NETWORK}{one['Name']}", made


def _why(run_id: str, store: RunStore) -> str:
    """Why nobody owns what is this run's; empty when the run goes on."""
    if not store.exists(run_id):
        return "its run isn't in the store"
    return "its run has ended" if store.files.exists(layout.verdict(run_id)) else ""
