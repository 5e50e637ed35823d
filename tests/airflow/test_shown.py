"""What people see of a task in Airflow's UI: links that a browser can open, and the definition as YAML."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import yaml

Dag = Callable[..., Any]
Run = Callable[..., Any]
Script = Callable[..., str]

DATA = {"type": "Estimator", "source_directory": "code", "entry_script": "train.py"}


def train(more: str = "", **data: Any) -> str:
    return f'train = EstimatorOperator(task_id="train", estimator={ {**DATA, **data} }, retries=0, {more})\n'


def links(outcome: Any, task_id: str = "train", map_index: int = -1) -> list[str]:
    return [outcome.xcom(task_id, key, map_index) for key in ("_link_RunFolderLink", "_link_RunLogsLink")]


@pytest.mark.parametrize("body", ["print('hello')", "raise ValueError('bad weather')"])
def test_links_lead_to_the_page_that_names_the_paths_of_a_local_store_also_after_a_failure(
    make_dag: Dag, run_dag: Run, script: Script, body: str
) -> None:
    script(body)
    dag = make_dag(train())
    outcome = run_dag(dag)
    run_id = outcome.dag_run.run_id.replace(":", "%3A").replace("+", "%2B")
    assert links(outcome) == [f"/dags/{dag.dag_id}/runs/{run_id}/tasks/train/xcom"] * 2


def test_links_of_mapped_tasks_and_sensors_are_their_own(
    make_dag: Dag, run_dag: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TRAIN__RUN_URL", "https://files.example/{path}?run={run_id}")
    monkeypatch.setenv("AIRFLOW__TRAIN__LOGS_URL", "https://{nonsense}")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/team/")
    script("print('hello')")
    dag = make_dag(
        f"""
        train = EstimatorOperator.partial(task_id="train").expand(estimator=[{DATA}])
        @task
        def first(runs):
            return runs[0]["run_id"]
        RunSensor(task_id="wait", run_id=first(train.output), poke_interval=0.1)
        """
    )
    outcome = run_dag(dag)
    trained = outcome.xcom("train", "run_id", 0)
    for folder, logs in (links(outcome, "train", 0), links(outcome, "wait")):
        assert folder.startswith("https://files.example//")
        assert folder.endswith(f"runs/{trained}?run={trained}")
        assert logs.startswith(f"/team/dags/{dag.dag_id}/runs/")
    assert links(outcome, "train", 0)[1].endswith("/tasks/train/mapped/0/xcom")


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        (
            "s3://bucket/a b/runs/x",
            "https://s3.console.aws.amazon.com/s3/buckets/bucket?prefix=a%20b/runs/x/",
        ),
        ("gs://bucket/runs/x", "https://console.cloud.google.com/storage/browser/bucket/runs/x"),
    ],
)
def test_folders_in_cloud_stores_open_in_their_console(airflow_home: Any, uri: str, url: str) -> None:
    from airflow_train.tasks import places

    assert places.address("run_url", uri, "x", {}) == url


def test_the_definition_is_shown_as_yaml_with_values_rendered_and_secrets_hidden(
    make_dag: Dag, run_dag: Run, script: Script, dags_folder: Any
) -> None:
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session

    warnings.simplefilter("ignore")  # of secrets in environment_variables
    script("import os; print(os.environ.get('DB_PASSWORD'))")
    (dags_folder / "base.yaml").write_text(
        "type: Estimator\nsource_directory: code\nentry_script: train.py\nscript_params: {--day: 1}\n"
        "environment_variables: {DB_PASSWORD: hush}\n"
    )
    dag = make_dag(
        train(script_params={"--dag": "{{ dag.dag_id }}"}, environment_variables={"DB_PASSWORD": "hush"})
        + 'EstimatorOperator(task_id="file", estimator="{{ \'base.yaml\' }}", retries=0)\n'
        + f'EstimatorOperator.partial(task_id="many", retries=0).expand(estimator=[{DATA}])\n'
    )
    assert run_dag(dag).states()["many"] == "success"
    with create_session() as session:
        shown = {
            one.task_id: one.rendered_fields["estimator"]
            for one in session.query(RenderedTaskInstanceFields).filter_by(dag_id=dag.dag_id)
        }
    assert yaml.safe_load(shown["train"])["script_params"] == {"--dag": dag.dag_id}
    assert shown["train"].startswith("type: Estimator\nsource_directory: code\n")
    assert yaml.safe_load(shown["file"])["script_params"] == {"--day": "1"}
    assert yaml.safe_load(shown["many"]) == DATA
    for text in shown.values():
        assert "hush" not in text
    assert "DB_PASSWORD: '***'" in shown["train"]


def test_a_readable_definition_can_be_copied() -> None:
    import copy
    import pickle

    from airflow_train.tasks.plain import Readable, given

    made = Readable("type: Estimator\n", DATA)
    assert given(copy.deepcopy(made)) == given(pickle.loads(pickle.dumps(made))) == DATA
