"""One loop per store that looks at every deferred run of it, so that two hundred cost a triggerer little.

A round glances at all runs: has a supervisor reported, has anybody judged? That costs a microsecond or two of `stat` on
a local store. A whole look, which also finds dead supervisors and judges, follows where the glance saw something, and
every `LOOK_EVERY` seconds. Rounds and looks keep to a share of one core by what they measure themselves to cost.

Nothing here blocks the event loop or knows Airflow, and what one run needs (bringing home the outputs of a dead
supervisor can take minutes) doesn't keep the others waiting.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from airflow_train import config
from airflow_train.lifecycle.observe import View, Watcher
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore, open_store

#: Seconds between two whole looks at a run of which the glances tell nothing.
LOOK_EVERY = 10.0
#: A round, and a look, may each use one part in this many of a core.
SHARE = 50
#: Whole looks at one time.
LOOKS_AT_ONCE = 4
#: Seconds of looks that fail, or that find a run nobody starts, until the one who waits is told.
PATIENCE = 60.0
#: Seconds between two calls of `tend`.
TEND_EVERY = 60.0

#: What a watcher is told: how the run stands, or one sentence on why it can't be watched from here.
News = View | str
Tend = Callable[[RunStore], object]


@dataclass
class _Watched:
    run_id: str
    queues: list[asyncio.Queue[News]] = field(default_factory=list)
    watcher: Watcher | None = None
    due: float = 0.0
    looking: bool = False
    told: str = ""
    well: float = field(default_factory=time.monotonic)


@contextmanager
def watching(uri: str, run_id: str, tend: Tend | None = None) -> Iterator[asyncio.Queue[News]]:
    """A queue of news of one run: each new status, the last one terminal. Needs a running event loop.

    :param tend: called now and then with the store, in a thread, as long as any run of the store is watched.
    """
    key = uri, id(asyncio.get_running_loop())
    watch = _watches.get(key)
    if watch is None:
        watch = _watches[key] = StoreWatch(uri, tend)
    queue = watch.enter(run_id)
    try:
        yield queue
    finally:
        watch.leave(run_id, queue)
        if watch.idle and _watches.get(key) is watch:
            del _watches[key]
            watch.end()


async def in_thread(work: Callable[..., Any], *arguments: Any) -> None:
    """Do something that may wait for Airflow, whose process may end meanwhile: unlike an executor's, this thread
    keeps nobody from leaving."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def working() -> None:
        try:
            work(*arguments)
        finally:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits
                loop.call_soon_threadsafe(done.set)

    threading.Thread(target=working, name=f"train-{work.__name__}", daemon=True).start()
    await done.wait()


class StoreWatch:
    """All watched runs of one store, in one event loop."""

    def __init__(self, uri: str, tend: Tend | None = None) -> None:
        self._uri, self._tend = uri, tend
        self._store: RunStore | None = None
        self._watched: dict[str, _Watched] = {}
        self._wake = asyncio.Event()
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._tended = float("-inf")
        self._start(self._loop())

    @property
    def idle(self) -> bool:
        """Does nobody watch?"""
        return not self._watched

    def enter(self, run_id: str) -> asyncio.Queue[News]:
        """Begin to watch a run."""
        queue: asyncio.Queue[News] = asyncio.Queue()
        watched = self._watched.setdefault(run_id, _Watched(run_id))
        watched.queues.append(queue)
        watched.due, watched.told = 0.0, ""  # the newcomer hears where it stands
        self._wake.set()
        return queue

    def leave(self, run_id: str, queue: asyncio.Queue[News]) -> None:
        """Watch a run no longer."""
        watched = self._watched[run_id]
        watched.queues.remove(queue)
        if not watched.queues:
            del self._watched[run_id]

    def end(self) -> None:
        """Stop looking."""
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        # an empty context: the words of this loop belong to no task's log
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _loop(self) -> None:
        while True:
            self._wake.clear()
            try:
                due, pause = await asyncio.to_thread(self._round)
            except Exception as error:  # noqa: BLE001 - whatever a store raises, those who wait are told
                due, pause = [], LOOK_EVERY / 2
                self._failed(list(self._watched.values()), error)
            for watched in due:
                watched.looking = True
                self._start(self._look(watched))
            if self._tend and self._store and time.monotonic() - self._tended > TEND_EVERY:
                self._tended = time.monotonic()
                self._start(self._tend_store(self._store))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    def _round(self) -> tuple[list[_Watched], float]:
        """The runs that need a whole look now, and seconds until the next round."""
        began = time.thread_time()
        store = self._store = self._store or open_store(self._uri)
        now = time.monotonic()
        due = [
            watched
            for watched in list(self._watched.values())
            if not watched.looking and (now >= watched.due or _ended(store, watched))
        ]
        return due, max(config.get_number("poll_interval"), (time.thread_time() - began) * SHARE)

    async def _look(self, watched: _Watched) -> None:
        try:
            async with self._looks:
                view, cost = await asyncio.to_thread(self._whole_look, watched)
            watched.due = time.monotonic() + max(LOOK_EVERY, cost * SHARE * len(self._watched))
            self._tell(watched, view)
        except Exception as error:  # noqa: BLE001 - whatever a store raises, those who wait are told
            watched.due = time.monotonic() + LOOK_EVERY / 2
            self._failed([watched], error)
        finally:
            watched.looking = False

    def _whole_look(self, watched: _Watched) -> tuple[View, float]:
        began = time.thread_time()
        assert self._store is not None  # a round came before
        if watched.watcher is None:
            watched.watcher = Watcher(self._store, watched.run_id)
        return watched.watcher.look(), time.thread_time() - began

    def _tell(self, watched: _Watched, view: View) -> None:
        if view.record.claim is not None or view.terminal:
            watched.well = time.monotonic()
        elif time.monotonic() - watched.well > PATIENCE:
            self._give_up(watched, f"nobody has started run {watched.run_id}")
            return
        words = f"{view.status} {view.record.reason} {view.record.phases[-1].words()}"
        if words != watched.told or view.terminal:
            watched.told = words
            for queue in watched.queues:
                queue.put_nowait(view)

    def _failed(self, those: list[_Watched], error: Exception) -> None:
        for watched in those:
            if time.monotonic() - watched.well > PATIENCE:
                self._give_up(watched, str(error))

    def _give_up(self, watched: _Watched, why: str) -> None:
        for queue in watched.queues:
            queue.put_nowait(why)

    async def _tend_store(self, store: RunStore) -> None:
        assert self._tend is not None
        await in_thread(self._tend, store)


_watches: dict[tuple[str, int], StoreWatch] = {}


def _ended(store: RunStore, watched: _Watched) -> bool:
    glanced = watched.watcher is not None and watched.watcher.glance()
    return glanced or any(
        store.files.exists(name(watched.run_id)) for name in (layout.report, layout.verdict)
    )
