"""What `Run.wait_for_completion(show_output=True)` prints: who it is, phases and lines as they come, and a summary."""

from __future__ import annotations

import sys

from airflow_train.lifecycle.follow import BUILD, Follower
from airflow_train.lifecycle.narrate import Narrator
from airflow_train.lifecycle.observe import View
from airflow_train.lifecycle.warned import warnings
from airflow_train.runs.times import duration
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore


class Stream:
    """Prints to standard output, which a notebook shows in its cell."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        self._store, self._run_id = store, run_id
        self._follower, self._narrator = Follower(store, run_id), Narrator()
        self._began = False

    def begin(self) -> None:
        """Id, where the logs are, and a line below it."""
        world_size = self._store.spec(self._run_id).world_size
        self._many = world_size > 1
        one = layout.rank_log(self._run_id, 0).removeprefix(f"{layout.files(self._run_id)}/")
        title = f"Streaming {f'user_logs of {world_size} ranks' if self._many else one}"
        _write(
            "", f"RunId: {self._run_id}", f"Logs: {self._store.files.join(layout.user_logs(self._run_id))}"
        )
        _write("", title, "=" * len(title), "")

    def show(self, view: View) -> None:
        """What is new since the last call."""
        if not self._began:
            self._began = True
            self.begin()
        _write(*(f"{self._run_id}: {words}" for words in self._narrator.news(view)))
        lines = self._follower.drain() if view.terminal else self._follower.poll()
        for line in lines:
            prefix = f"[{line.speaker}] " if self._many or line.rank == BUILD else ""
            _write(prefix + line.text)

    def end(self, view: View) -> None:
        """How it ended."""
        record = view.record
        _write("", "Execution Summary", "=" * len("Execution Summary"), f"RunId: {self._run_id}")
        took = duration(record.started, record.ended)
        _write(f"Status: {view.status}{f' after {took}' if took else ''}")
        if found := warnings(self._store, record):
            _write("", "Warnings:", *(f"{one['source']}: {one['message']}" for one in found))
        if view.terminal and record.reason:
            _write("", "Error:" if view.status == "Failed" else "Reason:", record.reason)
        _write("")


def _write(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
