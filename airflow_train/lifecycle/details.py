"""`Run.get_details()`: a run as one dictionary, with the keys of Azure ML's."""

from __future__ import annotations

from typing import Any

from airflow_train.lifecycle.files import LOGS
from airflow_train.lifecycle.observe import View
from airflow_train.lifecycle.warned import warnings
from airflow_train.runs import metrics
from airflow_train.runs.run_definition import run_definition
from airflow_train.runs.verdict import Verdict
from airflow_train.store import artifacts, layout
from airflow_train.store.run_store import RunStore


def details(store: RunStore, view: View) -> dict[str, Any]:
    """Everything about a run that has been looked at.

    `startTimeUtc` is None until the script has started; `endTimeUtc` is absent until it has ended, `error` where it
    didn't fail.
    """
    record, spec = view.record, view.record.spec
    found: dict[str, Any] = {
        "runId": record.run_id,
        "target": spec.target["name"],
        "status": view.status,
        "startTimeUtc": record.started,
        "endTimeUtc": record.ended,
        "services": {},
        "error": None,
        "warnings": warnings(store, record),
        "properties": metrics.fold_properties(spec.properties, store.metric_lines(record.run_id)),
        "inputDatasets": [],
        "outputDatasets": [],
        "runDefinition": run_definition(spec),
        "logFiles": log_files(store, record.run_id),
        "submittedBy": submitted_by(dict(spec.origin)),
    }
    if record.ended is None:
        del found["endTimeUtc"]
    verdict = Verdict.from_json(record.verdict) if record.verdict is not None else None
    if verdict is not None and verdict.status == "Failed":
        found["error"] = error(verdict)
    else:
        del found["error"]
    return found


def error(verdict: Verdict) -> dict[str, Any]:
    """Why a run failed: the code says who has to act, the details what was seen."""
    code = "ServiceError" if verdict.retry_helps else "UserError"
    seen = {
        "code": verdict.reason,
        "message": "\n".join(verdict.last_lines),
        "target": "" if verdict.rank is None else f"rank {verdict.rank}",
    }
    return {"error": {"code": code, "message": verdict.message, "details": [seen]}}


def log_files(store: RunStore, run_id: str) -> dict[str, str]:
    """Name → URI of every log."""
    names = [name for folder in LOGS for name, _ in artifacts.names(store.files, run_id, folder)]
    return {name: store.files.join(f"{layout.files(run_id)}/{name}") for name in names}


def submitted_by(origin: dict[str, Any]) -> str:
    """Who submitted a run, in words."""
    if origin.get("kind") == "airflow":
        return f"Airflow: {origin.get('dag_id')}.{origin.get('task_id')} of {origin.get('dag_run_id')}"
    return str(origin.get("user") or origin.get("kind") or "")
