"""What a running container has written, on its way into the run store: the segments of `runtime/channel.py`.

The run store is the only memory: segments are stored under their numbers by exclusive creation, and removed from the
outbox only after that. So any number of processes may look, and each may die at any moment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from airflow_train.runtime import protocol
from airflow_train.store import layout, live
from airflow_train.store.run_store import RunStore
from airflow_train.targets.docker import admission, archive, plan
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import Gone

#: So many segments that lie in both places, or bytes of them, are worth a word to the container.
_ACKNOWLEDGE, _ACKNOWLEDGE_BYTES = 8, 4 << 20
#: Whoever fetches holds the container: its end, too, is heard after that. Seconds between two fetches …
_PAUSE = 0.5
#: … at least so many times what the last one took.
_LEISURE = 4.0


class Puller:
    """Brings segments of one node home; remembers when the outbox changed, so that nothing new costs little."""

    def __init__(self, engine: Engine, run_id: str, node: int = 0) -> None:
        self._engine, self._run_id, self._node = engine, run_id, node
        self._container = plan.container_name(run_id, node)
        self._changed, self._next = "", 0.0
        self._acknowledged = 0

    def pull(self, store: RunStore) -> bool:
        """Store what is new; False when nothing is, or the last time was just now."""
        began = time.monotonic()
        if began < self._next:
            return False
        there = self._engine.stat(self._container, plan.OUTBOX)
        if there is None or there["mtime"] == self._changed:
            return False
        have = set(live.segments(store.files, self._run_id, self._node))
        known, size = max(have, default=0), 0
        count = 0
        try:
            for number, content in self._fetch():
                count, size = count + 1, size + len(content)
                # whoever writes them leaves none out; a script may
                if number == known + 1 and self._keep(store, number, content):
                    known = number
        except Gone:
            return False
        self._changed = there["mtime"]
        # once, as the word itself changes the outbox
        if known > self._acknowledged and (count >= _ACKNOWLEDGE or size >= _ACKNOWLEDGE_BYTES):
            word = archive.single(protocol.ACK_FILE, str(known).encode())
            self._engine.put(self._container, plan.OUTBOX, word)
            self._acknowledged = known
        self._next = time.monotonic() + max(_PAUSE, _LEISURE * (time.monotonic() - began))
        return True

    def _fetch(self) -> Iterator[tuple[int, bytes]]:
        """Segments of the outbox in their order."""
        with self._engine.get(self._container, plan.OUTBOX) as stream:
            for member in stream.members():
                name = member.name.rpartition("/")[2]
                if name.isdecimal() and member.size <= admission.MOST:
                    yield int(name), b"".join(stream.content(member))

    def _keep(self, store: RunStore, number: int, content: bytes) -> bool:
        """Records first: a segment that is stored is never looked at again. False when it isn't a segment."""
        pieces = admission.pieces(content)
        for name, data in pieces or ():
            if is_record(name) and admission.comes_live(name, self._node):
                keep_record(store, self._run_id, name, data)
        if pieces is not None:
            folder = layout.outbox(self._run_id, self._node)
            store.files.create(f"{folder}/{layout.segment(number)}", content)
        return pieces is not None


def is_record(name: str) -> bool:
    """Is this file, below the run's folder, a document that is written once?"""
    return name.endswith(".json") and not name.startswith(f"{protocol.FILES_FOLDER}/")


def keep_record(store: RunStore, run_id: str, name: str, content: bytes) -> None:
    """Store a record under its name, once; an event whose number is taken by another gets the next one."""
    if not admission.is_good_record(name, content):
        return
    whole = f"{layout.run(run_id)}/{name}"
    if store.files.create(whole, content) or not name.startswith(f"{protocol.EVENTS_FOLDER}/"):
        return
    folder, event = layout.events(run_id), json.loads(content)
    numbers = store.files.numbers(folder)
    if all(store.files.read_json(layout.numbered(folder, number)) != event for number in numbers):
        store.files.next_number(folder, lambda _: content)
