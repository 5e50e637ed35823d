"""The DAGs of `dags/` in a real Airflow, exactly as they lie there."""

from __future__ import annotations

import pytest

from airflow_train import Model
from tests.airflow_live.rest import DagRun, Rest, until
from tests.airflow_live.standalone import Standalone

pytestmark = [pytest.mark.airflow_live, pytest.mark.timeout(240)]


def test_a_model_that_is_registered_starts_the_dag_that_promotes_it(
    rest: Rest, standalone: Standalone
) -> None:
    rest.patch("/dags/retrain_on_schedule", is_paused=False)
    retrain = until(lambda: rest.dag_runs("retrain_on_schedule"))[0].wait()  # the night before this one
    registered = retrain.xcom("register")
    promote = until(lambda: rest.dag_runs("promote_on_new_model"))[0].wait()
    assert promote.xcom("promote") == "digits:1"
    [event] = rest.get("/assets/events", source_dag_id="retrain_on_schedule")["asset_events"]
    assert event["extra"] == {name: registered[name] for name in ("name", "version", "run_id", "metrics")}
    model = Model("digits", tags={"stage": "production"}, store=str(standalone.store))
    assert model.run_id == retrain.xcom("train", "run_id")
    assert model.tags["data"] == interval_start(retrain)


def interval_start(run: DagRun) -> str:
    """Day of a scheduled DAG run's data."""
    found = run.rest.get(f"/dags/{run.dag_id}/dagRuns")["dag_runs"]
    return str(found[0]["data_interval_start"])[:10]


@pytest.mark.mpi
def test_all_other_examples_run_together_and_so_does_the_yaml_of_dag_factory(rest: Rest) -> None:
    names = (
        "estimator_from_yaml",
        "mpi_on_one_machine",
        "submit_many_then_wait",
        "train_and_register",
        "digits",
    )
    for run in [rest.trigger(name) for name in names]:
        run.wait()
