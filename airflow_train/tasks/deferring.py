"""A task that waits in the triggerer: what it hands over, and what comes back.

Everything handed over is stored in clear text and survives upgrades: plain ids, and names that are never given another
meaning. The trigger answers once, when the run has ended or nothing more can be learned there:

    {"run_id", "store", "status", "late": which limit passed or None, "trouble": one sentence or None}
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from airflow_train.exceptions import TrainError
from airflow_train.lifecycle import wait
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.tasks import identity, kill

log = logging.getLogger(__name__)

#: Seconds to wait for Airflow's answer. A triggerer's first one takes 3 to 5 s, 20 s on a busy machine; none comes
#: while it shuts down.
PATIENCE = 60.0
#: Seconds that outputs of a stopped run may take to come home to a triggerer.
AFTER_GRACE = 600.0
#: Limits of a task that its trigger has to keep, as events call them.
TIMEOUT, EXECUTION_TIMEOUT = "timeout", "execution_timeout"


def handed_over(
    store: RunStore,
    run_id: str,
    context: Mapping[str, Any],
    *,
    timeout: float | None = None,
    leave: bool = False,
) -> dict[str, Any]:
    """Arguments of the trigger that waits for a run in place of this task.

    :param timeout: the sensor's, in seconds from now.
    :param leave: the run goes on whatever happens to the task.
    """
    return {
        "run_id": run_id,
        "store": store.uri,
        "owner": identity.owner_of(context),
        "by": identity.label_of(context),
        "waits_for": identity.task_of(context),
        "deadline": _deadline(context, timeout),
        "leave": leave,
    }


def end_of(event: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    """Which limit passed, and the trigger's trouble, which is also logged."""
    found = event or {}
    late, trouble = found.get("late"), found.get("trouble")
    if trouble:
        log.warning(
            "The triggerer can't watch the run: %s This task goes on watching in its worker.", trouble
        )
    return late, trouble


def stop_if_user_acted(asked: Mapping[str, Any]) -> None:
    """Stop the run of a trigger that was taken away, if a user ended its task; not if it only moves. Blocks.

    A cleared task stops nothing here: its next try decides, and may run before this.

    :param asked: the trigger's arguments.
    """
    if asked["leave"]:
        return
    state = kill.state_of(asked["waits_for"], PATIENCE)
    if state in kill.ENDED and stop(asked, f"the task was ended by hand ({state}) while it was deferred"):
        # who takes the trigger away doesn't wait for that; it ends with the process at the latest
        threading.Thread(target=_see_end, args=[asked], name="train-see-end", daemon=True).start()


def _see_end(asked: Mapping[str, Any]) -> None:
    """Bring home what a stopped run leaves, and sweep it: nobody else may look at it for long."""
    store = open_store(asked["store"])
    grace = float(store.spec(asked["run_id"]).job["grace_seconds"])
    with suppress(TrainError):
        wait.wait(store, asked["run_id"], timeout=grace + AFTER_GRACE)


def stop(asked: Mapping[str, Any], reason: str) -> bool:
    """Stop the run if the task that handed it over still owns it; False when it isn't that task's. Blocks."""
    if asked["leave"]:
        return False
    return kill.stop_if_owner(
        open_store(asked["store"]), asked["run_id"], asked["owner"], reason, asked["by"]
    )


def _deadline(context: Mapping[str, Any], timeout: float | None) -> dict[str, Any] | None:
    """The first limit to pass: Airflow applies neither while a task is deferred."""
    execution: timedelta | None = getattr(context["ti"].task, "execution_timeout", None)
    limits = {
        TIMEOUT: timeout,
        EXECUTION_TIMEOUT: execution.total_seconds() if execution is not None else None,
    }
    left = {name: seconds for name, seconds in limits.items() if seconds is not None}
    if not left:
        return None
    first = min(left, key=left.__getitem__)
    return {"at": time.time() + left[first], "limit": first}
