"""Differences between Airflow versions, in one place. Cheap: imported while DAG files are parsed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout
else:
    try:  # 3.2 and later
        from airflow.sdk.configuration import conf
        from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout
    except ImportError:  # 3.1
        from airflow.configuration import conf
        from airflow.exceptions import AirflowFailException, AirflowTaskTimeout

__all__ = ["AirflowFailException", "AirflowTaskTimeout", "default_deferrable", "task_state", "unmapped"]


def default_deferrable() -> bool:
    """`[operators] default_deferrable`."""
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def unmapped(operator: object) -> bool:
    """Is this the operator of one mapped task, made when the task runs, and not while the DAG file is parsed?"""
    return bool(getattr(operator, "_BaseOperator__from_mapped", False))


def task_state(context: Mapping[str, Any], patience: float) -> str | None:
    """State of the context's task instance in Airflow's database; None when no answer came within `patience` seconds.

    Asked in a thread, because the supervisor may be gone and then never answers.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    ti = context["ti"]
    mapped = ti.map_index is not None and ti.map_index >= 0
    answer: list[Any] = []

    def ask() -> None:
        with contextlib.suppress(Exception):  # no answer is an answer
            states = RuntimeTaskInstance.get_task_states(
                dag_id=ti.dag_id,
                task_ids=[ti.task_id],
                run_ids=[ti.run_id],
                map_index=ti.map_index if mapped else None,
            )
            name = f"{ti.task_id}_{ti.map_index}" if mapped else ti.task_id
            answer.append(states.get(ti.run_id, {}).get(name))

    thread = threading.Thread(target=ask, name="task-state", daemon=True)
    thread.start()
    thread.join(patience)
    return str(getattr(answer[0], "value", answer[0])) if answer and answer[0] is not None else None
