"""Secrets in a real Airflow: the script has them, and nothing that Airflow or the run store keeps shows one."""

from __future__ import annotations

import json

import pytest

from tests.airflow_live.rest import Rest
from tests.airflow_live.standalone import Standalone
from tests.secrecy import SECRET, shown_in

pytestmark = [pytest.mark.airflow_live, pytest.mark.timeout(240)]

VARIABLE = "live-variable-4711-hunter2"


def test_database_logs_xcom_and_store_show_no_secret(rest: Rest, standalone: Standalone) -> None:
    rest.post("/connections", connection_id="secretive", conn_type="generic", password=SECRET)
    rest.post("/variables", key="secretive", value=VARIABLE)
    run = rest.trigger("secretive").wait("failed")

    assert run.states() == {"completes": "success", "fails": "failed", "tells": "failed"}
    assert f"[0] both are there: {len(SECRET)} {len(VARIABLE)}" in run.text("completes")
    assert "ValueError: no login with ***" in run.text("fails")
    assert "holds a value that Airflow keeps secret (not shown)" in json.dumps(run.log("tells"))
    assert run.xcom("completes")["metrics"] == {"password": "***"}
    assert SECRET not in json.dumps([run.log(task) for task in run.states()], ensure_ascii=False)
    assert shown_in(standalone.home, SECRET, VARIABLE) == []
