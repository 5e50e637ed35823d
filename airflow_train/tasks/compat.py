"""Differences between Airflow versions, in one place. Cheap: imported while DAG files are parsed."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
    )
else:
    try:  # 3.2 and later
        from airflow.sdk.configuration import conf
        from airflow.sdk.exceptions import (
            AirflowFailException,
            AirflowSensorTimeout,
            AirflowSkipException,
            AirflowTaskTimeout,
        )
    except ImportError:  # 3.1
        from airflow.configuration import conf
        from airflow.exceptions import (
            AirflowFailException,
            AirflowSensorTimeout,
            AirflowSkipException,
            AirflowTaskTimeout,
        )

__all__ = [
    "AirflowFailException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "asked_for",
    "base_url",
    "default_deferrable",
    "is_missing",
    "mask_secret",
    "parsed_file",
    "redacted",
    "task_states",
    "triggers_hear_kills",
    "unmapped",
    "xcom_of",
]


def default_deferrable() -> bool:
    """`[operators] default_deferrable`."""
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def base_url() -> str:
    """`[api] base_url`: where people reach Airflow."""
    return str(conf.get("api", "base_url", fallback="") or "")


def asked_for(function: Callable[..., Any], args: Any, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of a task's arguments and context a decorated function has parameters for."""
    try:
        from airflow.sdk.bases.decorator import determine_kwargs
    except ImportError:  # 3.1
        from airflow.utils.operator_helpers import determine_kwargs  # type: ignore[attr-defined]
    found: Mapping[str, Any] = determine_kwargs(function, args, known)
    return found


def unmapped(operator: object) -> bool:
    """Is this the operator of one mapped task, made when the task runs, and not while the DAG file is parsed?"""
    return bool(getattr(operator, "_BaseOperator__from_mapped", False))


def mask_secret(value: str) -> None:
    """Have Airflow hide a value in the logs of this process and of its supervisor."""
    from airflow.sdk import log

    log.mask_secret(value)


def redacted(value: Any) -> Any:
    """Text or plain data as Airflow would log it: without known secrets, and values whose names look like one."""
    from airflow.sdk import log

    redact: Any = vars(log)["redact"]  # 3.1 to 3.3 import it there, from a place that isn't public
    return redact(value)


def is_missing(error: BaseException) -> bool:
    """Does Airflow say that there is no such connection or variable?"""
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

    if isinstance(error, AirflowRuntimeError):
        return error.error.error in (ErrorType.CONNECTION_NOT_FOUND, ErrorType.VARIABLE_NOT_FOUND)
    # 3.1 and 3.2 have it in `airflow.exceptions`; variables were KeyErrors where the database is asked
    return isinstance(error, KeyError) or type(error).__name__ == "AirflowNotFoundException"


def parsed_file() -> str | None:
    """The DAG file that Airflow is reading; None when a file is imported by others.

    A DAG that a library makes (dag-factory) has the library's file as its `fileloc` until the whole file is read.
    """
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    name = getattr(DagContext, "current_autoregister_module_name", None)
    return getattr(sys.modules.get(name), "__file__", None) if name else None


def task_states(
    dag_id: str, dag_run_ids: Sequence[str], task_ids: Sequence[str], map_index: int, patience: float
) -> Mapping[str, Mapping[str, Any]] | None:
    """Dag run → task → state in Airflow's database; None when no answer came within `patience` seconds.

    Works in workers and triggerers. Asked in a thread, because the supervisor may be gone and then never answers.

    :param map_index: -1 for tasks that aren't mapped; a mapped one is named `task_index` in the answer.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states: Mapping[str, Mapping[str, Any]] | None = _answered(
        patience,
        lambda: RuntimeTaskInstance.get_task_states(
            dag_id=dag_id,
            task_ids=list(task_ids),
            run_ids=list(dag_run_ids),
            map_index=map_index if map_index >= 0 else None,
        ),
    )
    return states


def xcom_of(task: Mapping[str, Any], key: str, patience: float) -> Any:
    """An XCom of another task; None when there is none, or no answer came within `patience` seconds.

    :param task: `dag_id`, `dag_run_id`, `task_id` and `map_index`.
    """
    from airflow.sdk.bases.xcom import BaseXCom

    index = int(task["map_index"])
    return _answered(
        patience,
        lambda: BaseXCom.get_one(
            key=key,
            dag_id=task["dag_id"],
            task_id=task["task_id"],
            run_id=task["dag_run_id"],
            map_index=index if index >= 0 else None,
        ),
    )


def triggers_hear_kills() -> bool:
    """Does Airflow call `on_kill` of triggers (3.3 and later)? Before, `cleanup` has to do."""
    from airflow.triggers.base import BaseTrigger

    return hasattr(BaseTrigger, "on_kill")


def _answered(patience: float, ask: Callable[[], Any]) -> Any:
    answer: list[Any] = []

    def asking() -> None:
        with contextlib.suppress(Exception):  # no answer is an answer
            answer.append(ask())

    thread = threading.Thread(target=asking, name="ask-airflow", daemon=True)
    thread.start()
    thread.join(patience)
    return answer[0] if answer else None
