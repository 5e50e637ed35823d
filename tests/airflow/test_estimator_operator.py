"""`EstimatorOperator` in real DAGs, run by `dag.test()` with real runs on the local target."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dag = Callable[..., Any]
Run = Callable[..., Any]
Script = Callable[..., str]

TRAIN = 'train = EstimatorOperator(task_id="train", estimator={data}, retry_delay=timedelta(0), {more})'


def train(more: str = "", **data: Any) -> str:
    """A task that runs `code/train.py`."""
    return TRAIN.format(
        data={"type": "Estimator", "source_directory": "code", "entry_script": "train.py", **data}, more=more
    )


def test_a_run_tells_other_tasks_where_it_is_how_it_ended_and_what_it_measured(
    make_dag: Dag, run_dag: Run, script: Script, store: Any
) -> None:
    script(
        """
        from train_run import Run
        run = Run.get_context()
        run.log("loss", 0.5)
        run.log("loss", 0.25)
        run.log("diverged", float("nan"))
        """
    )
    dag = make_dag(
        f"""
        {train()}
        @task
        def after(named, whole):
            return [named, whole["run_id"]]
        after(train.output["run_id"], train.output)
        """
    )
    for _ in range(2):  # the second time through the same operator objects
        outcome = run_dag(dag)
        result = outcome.xcom("train")
        assert outcome.state == "success"
        assert result["status"] == "Completed"
        assert result["metrics"] == {"loss": 0.25, "diverged": "NaN"}
        assert {key: outcome.xcom("train", key) for key in result} == result
        assert outcome.xcom("after") == [result["run_id"]] * 2
    spec = store.spec(result["run_id"])
    assert spec.experiment == dag.dag_id
    assert spec.origin["dag_run_id"] == outcome.dag_run.run_id
    assert Path(result["logs_uri"], "std_log_process_0.txt").is_file()


def test_a_model_that_was_not_registered_is_warned_of_in_the_task_log(
    make_dag: Dag,
    run_dag: Run,
    script: Script,
    sources: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    script((sources / "vanishing_model" / "train.py").read_text())
    assert run_dag(make_dag(train())).state == "success"
    # Airflow sets up logging with its first task: that one is heard on its output, later ones by pytest
    said = caplog.text + "".join(capfd.readouterr())
    assert "register_model: a model wasn't registered: " in said
    assert "has no file or folder 'outputs/model'" in said


def test_a_failed_script_is_tried_again_and_says_why(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    script("raise ValueError('bad weather')")
    outcome = run_dag(make_dag(train("retries=1")))
    assert outcome.state == "failed"
    assert outcome.task("train").try_number == 2
    runs = store.list_runs()
    assert [run.status for run in runs] == ["Failed", "Failed"]
    assert "bad weather" in runs[0].error
    assert outcome.xcom("train", "run_id") == runs[0].run_id, "known although it failed"


def test_what_only_the_author_can_mend_is_not_tried_again(
    make_dag: Dag, run_dag: Run, script: Script, store: Any
) -> None:
    script("print('never')")
    outcome = run_dag(make_dag(train(node_count="{{ 'two' }}")))
    assert outcome.states() == {"train": "failed"}
    assert outcome.task("train").try_number == 1
    assert store.list_runs() == []


def test_a_literal_mistake_is_found_when_the_file_is_parsed(make_dag: Dag) -> None:
    from airflow_train.exceptions import DefinitionError

    with pytest.raises(DefinitionError, match="node_count"):
        make_dag(train(node_count=0))


def test_values_are_rendered_and_an_xcom_inside_the_definition_makes_a_dependency(
    make_dag: Dag, run_dag: Run, script: Script
) -> None:
    script(
        """
        import sys
        from train_run import Run
        Run.get_context().log("rate", float(sys.argv[2]))
        Run.get_context().tag("said", sys.argv[4])
        """
    )
    dag = make_dag(
        """
        @task
        def rate():
            return 0.125
        train = EstimatorOperator(task_id="train", tags={"from": "{{ dag.dag_id }}"}, estimator=Estimator(
            source_directory="code", entry_script="train.py",
            script_params={"--rate": rate(), "--run": "{{ run_id }}"}))
        """
    )
    outcome = run_dag(dag)
    assert outcome.states() == {"rate": "success", "train": "success"}
    assert outcome.xcom("train", "metrics") == {"rate": 0.125}
    from airflow_train import Run as Handle

    tags = Handle(outcome.xcom("train", "run_id")).tags
    assert tags == {"from": dag.dag_id, "said": outcome.dag_run.run_id}


def test_mapped_tasks_train_once_each(make_dag: Dag, run_dag: Run, script: Script, store: Any) -> None:
    script("import sys; print(sys.argv)")
    dag = make_dag(
        """
        data = {"type": "Estimator", "source_directory": "code", "entry_script": "train.py"}
        train = EstimatorOperator.partial(task_id="train", experiment="grid").expand(
            estimator=[{**data, "script_params": {"--c": c}} for c in (1, 2, 3)])
        @task
        def count(runs):
            return len({run["run_id"] for run in runs})
        count(train.output)
        """
    )
    outcome = run_dag(dag)
    assert outcome.xcom("count") == 3
    assert {outcome.xcom("train", "status", index) for index in range(3)} == {"Completed"}
    assert len(store.list_runs(experiment="grid")) == 3
    assert store.spec(outcome.xcom("train", "run_id", 2)).origin["map_index"] == 2


def test_nothing_secret_of_the_worker_reaches_the_script(
    make_dag: Dag, run_dag: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["AIRFLOW__CORE__FERNET_KEY", "AIRFLOW_CONN_DB", "AIRFLOW_VAR_TOKEN", "_AIRFLOW_SECRET"]
    for name in names:
        monkeypatch.setenv(name, "hush")
    monkeypatch.setenv("HARMLESS", "1")
    script(
        """
        import json, os
        os.makedirs("outputs", exist_ok=True)
        json.dump(dict(os.environ), open("outputs/environment.json", "w"))
        """
    )
    outcome = run_dag(make_dag(train()))
    found = json.loads(Path(outcome.xcom("train", "outputs_uri"), "environment.json").read_text())
    assert "hush" not in found.values()
    assert found["HARMLESS"] == "1"


def test_deferring_is_refused_where_it_is_asked_for_and_passed_over_where_it_is_a_default(
    make_dag: Dag, run_dag: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_train.exceptions import DefinitionError

    script("print('hello')")
    with pytest.raises(DefinitionError, match="deferrable=True can't be honoured"):
        make_dag(train("deferrable=True, compute_target='local'"))
    assert run_dag(make_dag(train("deferrable=True"))).task("train").try_number == 1
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert run_dag(make_dag(train())).state == "success"


def test_the_serialized_dag_is_the_same_from_parse_to_parse(
    make_dag: Dag, load: Callable[[Path], Any], script: Script, dags_folder: Path
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    script("print('hello')")
    (dags_folder / "code.yaml").write_text(
        "type: Estimator\nsource_directory: code\nentry_script: train.py\n"
    )
    dag = make_dag(
        """
        estimator = Estimator(source_directory="code", entry_script="train.py")
        first = EstimatorOperator(task_id="train", estimator=estimator)
        EstimatorOperator(task_id="yaml", estimator="code.yaml", tags={"run": first.output["run_id"]})
        RegisterModelOperator(task_id="register", run_id=first.output["run_id"], model_name="m")
        DistributedEstimatorOperator(task_id="many", node_count=2, distributed_training=PyTorchConfiguration(),
            estimator=PyTorch(source_directory="code", entry_script="train.py"))
        """
    )
    again = load(Path(dag.fileloc)).dag
    texts = [json.dumps(DagSerialization.serialize_dag(one)["tasks"], sort_keys=True) for one in (dag, again)]
    assert texts[0] == texts[1]
    assert "object at 0x" not in texts[0]
    assert str(dags_folder) not in texts[0]
    assert dag.get_task("yaml").upstream_task_ids == {"train"}
    assert dag.get_task("yaml").estimator["source_directory"] == "code"


def test_retries_are_ours_unless_the_dag_says_otherwise(make_dag: Dag) -> None:
    assert make_dag(train()).get_task("train").retries == 2
    dag = make_dag("dag.default_args['retries'] = 5\n" + train())
    assert dag.get_task("train").retries == 5
    assert make_dag('EstimatorOperator.partial(task_id="m").expand(estimator=[1])').get_task("m").retries == 2


def test_ranks_of_a_distributed_run_all_show_in_the_task_log(
    make_dag: Dag, run_dag: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_train.tasks import live_log

    events: list[tuple[int, str]] = []
    monkeypatch.setattr(live_log, "_to_task_log", lambda rank, text, _: events.append((rank, text)))
    script("import os; print('rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE'])")
    dag = make_dag(
        """
        DistributedEstimatorOperator(task_id="train", node_count=2, process_count_per_node=2,
            distributed_training=PyTorchConfiguration(),
            estimator=PyTorch(source_directory="code", entry_script="train.py"))
        """
    )
    assert run_dag(dag).state == "success"
    said = [(rank, f"[node {rank // 2} rank {rank}] rank {rank} of 4") for rank in range(4)]
    assert sorted(events) == said


def test_a_distributed_operator_refuses_a_definition_that_is_not(
    make_dag: Dag, run_dag: Run, script: Script
) -> None:
    script("print('never')")
    outcome = run_dag(make_dag(train().replace("EstimatorOperator(", "DistributedEstimatorOperator(")))
    assert outcome.state == "failed"
    assert outcome.task("train").try_number == 1


@pytest.mark.parametrize(
    "wrong", ["wait_for_completion='no'", "poll_interval=0", "poll_interval='5 s'", "poll_interval=True"]
)
def test_arguments_that_are_no_templates_are_checked_while_the_file_is_parsed(
    make_dag: Dag, script: Script, wrong: str
) -> None:
    from airflow_train.exceptions import DefinitionError

    with pytest.raises(
        DefinitionError, match=rf"^task train: {wrong.split('=', maxsplit=1)[0]} is .* but must be .*;"
    ):
        make_dag(train(wrong))


@pytest.mark.parametrize("tags", ["['nightly']", "'{{ dag.dag_id }}'"])
def test_tags_that_are_none_are_refused_once_before_anything_is_submitted(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, tags: str
) -> None:
    script("print('hello')")
    outcome = run_dag(make_dag(train(f"tags={tags}")))
    assert (outcome.state, outcome.task("train").try_number) == ("failed", 1)
    assert store.list_runs() == []
