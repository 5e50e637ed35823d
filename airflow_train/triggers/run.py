"""`RunTrigger`: waits for the end of a run, for operators and sensors alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

import airflow_train.tasks.secrets  # noqa: F401 - hands in how targets read connections
from airflow_train.lifecycle.narrate import Narrator
from airflow_train.tasks import compat, deferring, reconcile, store_watch

#: Stops that are on their way. A trigger is cancelled again every second, so what it began must be held elsewhere.
_stopping: set[asyncio.Task[None]] = set()


class RunTrigger(BaseTrigger):
    """Fires once: when the run has ended, or when the triggerer can learn nothing more (the task then goes on itself).

    Any triggerer that can read the run's store will do. Where the run's processes are of its own machine it sees them;
    on another machine a run is lost when its heartbeat has been silent for the lease. What it can't read, or what
    nobody has started for a minute, it hands back to the task's worker.

    A task that a user ends while it is deferred ends its run, if it still owns it; a cleared one leaves that to its
    next try; a trigger that only moves to another triggerer ends nothing.

    :param run_id: the run.
    :param store: URI of its store.
    :param owner: token of the task that waits; only the newest owner's end ends a run.
    :param by: that task as people name it.
    :param waits_for: that task as Airflow can be asked about it.
    :param deadline: `{"at": seconds since 1970, "limit": name of the limit}`: Airflow applies no limit of the task
        while it is deferred.
    :param leave: the run goes on whatever happens to the task.
    """

    def __init__(
        self,
        run_id: str,
        store: str,
        owner: str,
        by: str = "",
        waits_for: Mapping[str, Any] | None = None,
        deadline: Mapping[str, Any] | None = None,
        leave: bool = False,
        **_: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._asked: dict[str, Any] = {
            "run_id": run_id,
            "store": store,
            "owner": owner,
            "by": by,
            "waits_for": dict(waits_for or {}),
            "deadline": dict(deadline) if deadline else None,
            "leave": leave,
        }
        self._fired = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as they are stored in clear text."""
        return "airflow_train.triggers.run.RunTrigger", dict(self._asked)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait; the only event says how the run stands."""
        event = await self._event()
        self._fired = True
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """A user has ended or cleared the task, or (3.3) the trigger moves to another triggerer."""
        task = asyncio.create_task(self._stop_if_user_acted())
        _stopping.add(task)
        task.add_done_callback(_stopping.discard)
        await asyncio.shield(task)

    async def cleanup(self) -> None:
        """The same before Airflow 3.3, where nobody calls `on_kill`."""
        if not compat.triggers_hear_kills():
            await self.on_kill()

    async def _stop_if_user_acted(self) -> None:
        if not self._fired:
            await store_watch.in_thread(deferring.stop_if_user_acted, self._asked)

    async def _event(self) -> dict[str, Any]:
        run_id, uri = self._asked["run_id"], self._asked["store"]
        late, narrator = None, Narrator(joins=True)
        # `dag.test()` runs triggers without a task instance, and can't be asked from another thread
        tend = reconcile.tend if self.task_instance is not None else None
        with store_watch.watching(uri, run_id, tend) as news:
            while True:
                try:
                    async with asyncio.timeout(None if late else self._left()):
                        found = await news.get()
                except TimeoutError:
                    late = str(self._asked["deadline"]["limit"])
                    self.log.info("The %s of the task has passed.", late)
                    if await asyncio.to_thread(deferring.stop, self._asked, f"the {late} of its task passed"):
                        continue  # it ends now
                    return self._answer(None, late=late)
                if isinstance(found, str):
                    return self._answer(None, late=late, trouble=found)
                for words in narrator.news(found):
                    self.log.info("Run %s is %s", run_id, words)
                if found.terminal:
                    self.log.info("Run %s is %s", run_id, found.status)
                    return self._answer(found.status, late=late)

    def _left(self) -> float | None:
        deadline = self._asked["deadline"]
        return max(float(deadline["at"]) - time.time(), 0.0) if deadline else None

    def _answer(
        self, status: str | None, *, late: str | None = None, trouble: str | None = None
    ) -> dict[str, Any]:
        where = {"run_id": self._asked["run_id"], "store": self._asked["store"]}
        return {**where, "status": status, "late": late, "trouble": trouble}
