"""Which attempt of which task is this: read from the context, comparable with the attempt before.

Dag, run, task, map index and try number do *not* name an attempt: a deleted dag run is created again with all of them.
Airflow's task instance id does, over retries, clears and deployments; it is the owner token, and the run id derives
from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from airflow_train.runs import ids


@dataclass(frozen=True)
class Attempt:
    """One try of one task, and the run it works on."""

    run_id: str
    #: Airflow's task instance id: whoever holds it may act on the run.
    owner: str
    try_number: int
    max_tries: int
    clear_number: int
    #: ISO 8601, UTC; empty when Airflow doesn't tell.
    dag_run_start: str
    #: The failed run of the attempt before, whose outputs this one's run is offered; empty when there is none.
    previous: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Attempt:
        """Rebuild an attempt; what later versions add is left out."""
        return cls(**{one.name: data[one.name] for one in fields(cls) if one.name in data})


class Rule(Enum):
    """Why an attempt does or doesn't continue the one before it, in words for the task log."""

    FIRST = "this is the first attempt"
    SAME = "this is the same attempt again"
    RETRY = "the attempt before ended without being cleared"
    CLEARED = "the task was cleared"
    NEW_DAG_RUN = "the dag run was started again"
    STALE = "a later attempt has begun"


CONTINUING = frozenset({Rule.SAME, Rule.RETRY})


def rule(previous: Attempt | None, current: Attempt) -> Rule:
    """Which rule connects two attempts of one task.

    After a clear `max_tries` moves, while `clear_number` also moves when another task of the dag run is cleared. So
    only both together tell a clear. One case is misread as a retry: a running task cleared while its worker was dead.
    """
    if previous is None:
        return Rule.FIRST
    if previous.owner == current.owner:
        return Rule.SAME
    if (current.dag_run_start, current.try_number) < (previous.dag_run_start, previous.try_number):
        return Rule.STALE
    if current.dag_run_start != previous.dag_run_start:
        return Rule.NEW_DAG_RUN
    if current.try_number == previous.try_number:
        return Rule.CLEARED
    retried = current.clear_number == previous.clear_number or current.max_tries == previous.max_tries
    return Rule.RETRY if retried else Rule.CLEARED


def continues(previous: Attempt, current: Attempt) -> bool:
    """Does an attempt go on with the run of the one before?"""
    return rule(previous, current) in CONTINUING


def attempt_of(context: Mapping[str, Any]) -> Attempt:
    """The attempt that a task's context belongs to, with the run id that derives from it."""
    ti, dag_run = context["ti"], context["dag_run"]
    return Attempt(
        run_id=ids.derived(ti.task_id, owner_of(context)),
        owner=owner_of(context),
        try_number=int(ti.try_number),
        max_tries=int(ti.max_tries),
        clear_number=int(getattr(dag_run, "clear_number", None) or 0),
        dag_run_start=_utc(dag_run.start_date),
    )


def owner_of(context: Mapping[str, Any]) -> str:
    """The owner token of a task's attempt."""
    return str(context["ti"].id)


def task_key(context: Mapping[str, Any]) -> str:
    """Key of the chain of attempts: one per dag, dag run, task and map index."""
    ti = context["ti"]
    name = json.dumps([ti.dag_id, ti.run_id, ti.task_id, _map_index(ti)])
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def task_of(context: Mapping[str, Any]) -> dict[str, Any]:
    """The task as Airflow can be asked about it."""
    ti = context["ti"]
    return {
        "dag_id": ti.dag_id,
        "dag_run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": _map_index(ti),
    }


def origin_of(context: Mapping[str, Any]) -> dict[str, Any]:
    """Who submits, for the run's record."""
    return {"kind": "airflow", **task_of(context), "try_number": int(context["ti"].try_number)}


def label_of(context: Mapping[str, Any]) -> str:
    """The attempt as people name it, for `by` of a cancel request."""
    ti = context["ti"]
    mapped = f"[{_map_index(ti)}]" if _map_index(ti) >= 0 else ""
    return f"Airflow task {ti.dag_id}.{ti.task_id}{mapped} (dag run {ti.run_id}, try {ti.try_number})"


def _map_index(ti: Any) -> int:
    return -1 if ti.map_index is None else int(ti.map_index)


def _utc(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment is not None else ""
