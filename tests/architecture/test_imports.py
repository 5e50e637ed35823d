"""DAG files are parsed all day: what they import stays cheap, and what they may import is pinned."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

#: Loaded only when a run is really made, never when a DAG file is read.
LATE = (
    "docker",
    "kubernetes",
    "sklearn",
    "airflow_train.definitions",
    "airflow_train.store",
    "airflow_train.lifecycle",
)
BUDGET = 0.010
MEASURE = """
import json, sys, time
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
began = time.process_time()
from airflow_train.operators import EstimatorOperator, DistributedEstimatorOperator, RegisterModelOperator
print(json.dumps([time.process_time() - began, sorted(sys.modules)]))
"""
NAMES = {
    "airflow_train": [
        "Chainer",
        "CondaDependencies",
        "ContainerRegistry",
        "DockerBuildContext",
        "DockerConfiguration",
        "Environment",
        "Estimator",
        "Experiment",
        "Gloo",
        "Model",
        "Mpi",
        "MpiConfiguration",
        "Nccl",
        "ParallelTaskConfiguration",
        "ParameterServer",
        "PyTorch",
        "PyTorchConfiguration",
        "Run",
        "RunConfiguration",
        "SKLearn",
        "ScriptRunConfig",
        "TensorFlow",
        "TensorflowConfiguration",
        "__version__",
    ],
    "airflow_train.decorators": ["estimator_task"],
    "airflow_train.links": ["RunFolderLink", "RunLogsLink"],
    "airflow_train.operators": ["DistributedEstimatorOperator", "EstimatorOperator", "RegisterModelOperator"],
    "airflow_train.sensors": ["RunSensor"],
    "airflow_train.triggers": ["RunTrigger"],
}


def test_operators_cost_a_dag_file_at_most_ten_milliseconds() -> None:
    # The first process may have to compile; processor time, so that a busy machine doesn't count.
    seconds = min(_load_operators()[0] for _ in range(4))
    assert seconds <= BUDGET


def test_operators_load_nothing_that_only_a_run_needs() -> None:
    loaded = _load_operators()[1]
    assert [name for name in loaded if name.startswith(LATE)] == []


@pytest.mark.parametrize("module", NAMES)
def test_the_exported_names_are_these_and_all_resolve(module: str) -> None:
    loaded = importlib.import_module(module)
    assert sorted(loaded.__all__) == NAMES[module]
    assert [name for name in loaded.__all__ if getattr(loaded, name, None) is None] == []


def test_an_unknown_name_is_an_attribute_error_that_names_module_and_name() -> None:
    package = importlib.import_module("airflow_train")
    with pytest.raises(AttributeError, match=r"airflow_train.*Estimatr"):
        package.Estimatr  # noqa: B018


def test_every_entry_point_leads_to_something() -> None:
    points = metadata.distribution("airflow-train").entry_points
    assert {point.group for point in points} == {
        "airflow_train.targets",
        "apache_airflow_provider",
        "console_scripts",
    }
    assert all(callable(point.load()) for point in points)


def test_targets_know_nothing_of_each_other(repository: Path) -> None:
    targets = repository / "airflow_train" / "targets"
    rooms = sorted(
        folder for folder in targets.iterdir() if folder.is_dir() and (folder / "target.py").exists()
    )
    crossings = [
        f"{file.relative_to(repository)} imports targets.{other.name}"
        for room in rooms
        for file in room.rglob("*.py")
        for other in rooms
        if other != room and f"airflow_train.targets.{other.name}" in _imports(file)
    ]
    assert rooms
    assert crossings == []


def _load_operators() -> tuple[float, list[str]]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", MEASURE]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    seconds, modules = json.loads(answer.stdout.splitlines()[-1])
    return seconds, modules


def _imports(file: Path) -> set[str]:
    """Every dotted prefix of every module that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {
        ".".join(parts[:end])
        for parts in (name.split(".") for name in names)
        for end in range(1, len(parts) + 1)
    }
