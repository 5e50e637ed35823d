"""A run as it comes while it is still being handed over: pulling or building its image takes minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from airflow_train.exceptions import TrainError
from airflow_train.lifecycle.observe import View
from airflow_train.store.run_store import RunStore

#: Seconds between two looks, and before the first one: most runs are handed over sooner.
PAUSE = 1.0


@contextmanager
def shown(store: RunStore, run_id: str, show: Callable[[View], object]) -> Iterator[None]:
    """Inside, whoever is handing a run over is busy, and another thread shows what is written of it.

    :param show: called by that thread with what a look would see; not again once the block has ended.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(PAUSE):
            with suppress(TrainError):  # whoever hands it over meets it, too
                if store.exists(run_id):
                    record = store.record(run_id)
                    show(View(record, record.status))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
