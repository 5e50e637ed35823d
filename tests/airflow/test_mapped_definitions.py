"""Definitions as arguments of mapped tasks: objects are rendered and connected as plain data is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Dag = Callable[..., Any]
Run = Callable[..., Any]
Script = Callable[..., str]

LOGS = """
    import sys
    from train_run import Run
    Run.get_context().log("c", float(sys.argv[2]))
"""
UP = """
@task
def up():
    return 7
c = up()
def asked(c):
    return Estimator(source_directory="code", entry_script="train.py", script_params={"--c": c})
"""


@pytest.mark.parametrize("value", ["c", "'{{ params.c }}'"], ids=["XCom", "template"])
@pytest.mark.parametrize(
    "mapped",
    [
        "EstimatorOperator.partial(task_id='train', estimator=asked({})).expand(experiment=['e'])",
        "EstimatorOperator.partial(task_id='train').expand(estimator=[asked({})])",
        "EstimatorOperator.partial(task_id='train').expand_kwargs([{{'estimator': asked({})}}])",
    ],
    ids=["partial", "expand", "expand_kwargs"],
)
def test_values_of_a_mapped_definition_reach_the_script(
    make_dag: Dag, run_dag: Run, script: Script, mapped: str, value: str
) -> None:
    script(LOGS)
    dag = make_dag(UP + mapped.format(value))
    dag.params = {"c": 7}
    assert dag.get_task("train").upstream_task_ids == ({"up"} if value == "c" else set())
    assert run_dag(dag).xcom("train", "metrics", 0) == {"c": 7}


def test_a_mapped_definition_that_breaks_a_rule_is_refused_while_the_file_is_parsed(make_dag: Dag) -> None:
    from airflow_train.exceptions import DefinitionError

    with pytest.raises(DefinitionError, match="node_count"):
        make_dag(
            "EstimatorOperator.partial(task_id='train', "
            "estimator=Estimator(source_directory='code', entry_script='train.py', node_count=0))"
        )


def test_the_serialized_dag_of_mapped_definitions_holds_plain_data(make_dag: Dag) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dag = make_dag(
        """
        DistributedEstimatorOperator.partial(task_id="train", distributed_training=PyTorchConfiguration()).expand(
            estimator=[PyTorch(source_directory="code", entry_script="train.py")])
        @task.estimator()
        def again(c):
            return {}
        again.override(estimator=PyTorch(source_directory="code", entry_script="train.py")).expand(c=[1])
        """
    )
    text = str(DagSerialization.to_dict(dag))
    assert "PyTorch(" not in text
    assert "PyTorchConfiguration(" not in text
