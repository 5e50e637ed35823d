"""What whoever looks does for a run whose container lives."""

from __future__ import annotations

import time
from contextlib import suppress

from airflow_train.runs.record import RunRecord
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from airflow_train.targets.docker import archive, logs, plan
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import Gone

#: Seconds between two attempts to hand over a cancel request.
_AGAIN = 5.0
#: A run that was claimed so many seconds ago at most has just been started …
_YOUNG = 3.0
#: … and is left alone for so many: a short one is over before there is anything worth while to fetch.
_ALONE = 1.0
#: Seconds by which a run is young longer for each node, as containers are started between the claim and the first look,
_STARTS = 0.5
#: and is left alone longer, as nodes that are many take their time to meet.
_MEETS = 0.1
#: Other nodes' outboxes are fetched one after the other, then none for so many times as long: an engine works for it.
_LEISURE = 4.0


class Attendant:
    """Looks after one run of an engine; what it remembers only saves work."""

    def __init__(self, engine: Engine, run_id: str, shared: bool, nodes: int = 1) -> None:
        self._engine = engine
        #: Does the node read and write the run store itself?
        self._shared = shared
        self._pullers = [logs.Puller(engine, run_id, node) for node in range(nodes)]
        self._told = -_AGAIN
        self._from: float | None = None
        self._next_others = 0.0

    def look(self, record: RunRecord, store: RunStore) -> None:
        """Bring home what is new, hand over a cancel request, and end a supervisor that doesn't heed it."""
        run_id, name = record.run_id, plan.container_name(record.run_id)
        try:
            if not self._shared and record.cancel is not None and record.stop is None:
                self._hand_over_cancel(record)
            if not self._shared and self._is_time(record):
                self._pulse(run_id, store)
                self._pullers[0].pull(store)
                if record.starts:  # before that, node 0 tells what there is to tell
                    self._pull_others(store)
        except Gone:
            return  # it has ended meanwhile, which the next look sees
        if record.cancel is not None and record.heartbeat is not None:
            asked, beat = (protocol.seconds_of(one["at"]) for one in (record.cancel, record.heartbeat))
            deadline = asked + record.spec.job["grace_seconds"] + plan.MARGIN
            if time.time() > deadline and time.time() > beat + protocol.LEASE_SECONDS:
                self._engine.kill(name)

    def _pull_others(self, store: RunStore) -> None:
        began = time.monotonic()
        if began < self._next_others:
            return
        for puller in self._pullers[1:]:
            with suppress(Gone):  # node 0 knows, or will
                puller.pull(store)
        self._next_others = time.monotonic() + _LEISURE * (time.monotonic() - began)

    def before_start(self, record: RunRecord) -> None:
        """Hand over a cancel request to a container that is about to be started."""
        if not self._shared:
            self._hand_over_cancel(record)

    def _is_time(self, record: RunRecord) -> bool:
        """May the container be looked into?"""
        if self._from is None:
            age = time.time() - protocol.seconds_of((record.claim or {})["at"])
            young = 0 <= age < _YOUNG + _STARTS * len(self._pullers)
            alone = _ALONE + _MEETS * (len(self._pullers) - 1)
            self._from = time.monotonic() + (alone if young else 0.0)
        return time.monotonic() >= self._from

    def _hand_over_cancel(self, record: RunRecord) -> None:
        """Put the request where the supervisor sees it, now and then until it has."""
        run_id = record.run_id
        if time.monotonic() - self._told >= _AGAIN:
            word = archive.single(protocol.CANCEL_FILE, layout.as_json(record.cancel))
            self._engine.put(plan.container_name(run_id), plan.RUN_FOLDER, word)
            self._told = time.monotonic()

    def _pulse(self, run_id: str, store: RunStore) -> None:
        """Bring the supervisor's heartbeat home."""
        known = store.files.read_json_or_none(layout.heartbeat(run_id)) or {
            "at": protocol.timestamp(0),
            "beat": 0,
        }
        if time.time() - protocol.seconds_of(known["at"]) < protocol.HEARTBEAT_SECONDS:
            return
        path = f"{plan.RUN_FOLDER}/{protocol.node_folder(0)}/{protocol.HEARTBEAT_FILE}"
        found = self._engine.stat(plan.container_name(run_id), path)
        if found is not None:
            at = f"{found['mtime'][:19]}.000Z"
            if at > known["at"]:
                store.files.write_json(layout.heartbeat(run_id), {"at": at, "beat": known["beat"] + 1})
