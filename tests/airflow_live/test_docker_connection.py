"""An engine that only a connection in Airflow's database leads to: worker and triggerer find it."""

from __future__ import annotations

import pytest

from tests.airflow_live.rest import Rest, until
from tests.airflow_live.standalone import Standalone
from tests.targets import relay
from tests.targets.lab import docker_objects

pytestmark = [
    pytest.mark.airflow_live,
    pytest.mark.docker,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("docker_engine"),
]


def test_a_deferred_task_on_an_engine_of_a_connection(standalone: Standalone, rest: Rest) -> None:
    with relay.by_tcp() as port:
        rest.post(
            "/connections",
            connection_id="remote_engine",
            conn_type="docker",
            host="tcp://127.0.0.1",
            port=port,
        )
        run = rest.trigger("contained")
        run.wait_for("train", "deferred")
        until(lambda: "is Running" in run.text("train"), what=run.logs)  # which the triggerer says
        run.wait()
        run_id = run.xcom("train", "run_id")

        assert run.xcom("train", "status") == "Completed"
        kept = standalone.store / "runs" / run_id / "files" / "outputs" / "kept"
        assert kept.read_text() == "yes"
        assert docker_objects(run_id) == []
