"""Records as the store would hand them out, without a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from airflow_train.definitions.job import Job
from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec

Make = Callable[..., Any]


@pytest.fixture
def make_spec() -> Make:
    """A spec; arguments are fields of the job."""

    def made(**job: Any) -> RunSpec:
        return RunSpec(
            run_id="digits-abc",
            experiment="digits",
            created="2026-11-21T05:00:00.000Z",
            definition={"type": "Estimator", "source_directory": "."},
            job=asdict(Job("Estimator", ".", entry_script="train.py", **job)),
            target={"name": "local", "type": "local", "options": {}},
            snapshot={"id": "s", "files": 1, "bytes": 2},
        )

    return made


@pytest.fixture
def make_exit() -> Make:
    """An exit record of a rank; 0 unless told otherwise."""

    def made(rank: int = 0, **fields: Any) -> dict[str, Any]:
        return {
            "rank": rank,
            "node": rank,
            "code": None if fields.get("signal") else 0,
            "signal": None,
            "could_not_start": None,
            "stopped_by": None,
            "started": "2026-11-21T05:00:00.100Z",
            "ended": f"2026-11-21T05:00:0{rank}.500Z",
            "last_lines": [],
            "exception": None,
            **fields,
        }

    return made


@pytest.fixture
def make_record(make_spec: Make) -> Make:
    """A record of a run with these exit records, of as many ranks unless `ranks` says otherwise."""

    def made(*exits: dict[str, Any], ranks: int | None = None, **documents: Any) -> RunRecord:
        spec = make_spec(process_count_per_node=ranks or max(len(exits), 1), max_run_duration_seconds=60)
        report = {"at": "", "error": None, "by": "supervisor"}
        return RunRecord(spec, exits={one["rank"]: one for one in exits}, **{"report": report, **documents})

    return made
