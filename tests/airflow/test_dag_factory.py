"""dag-factory, as it is on PyPI, makes DAGs of our operators from YAML: both files as `dags/README.md` shows them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.airflow import from_yaml

Run = Callable[..., Any]


@pytest.fixture
def dag(dags_folder: Path) -> Callable[..., Any]:
    """The DAG that Airflow finds, after a change of the YAML."""
    shutil.copytree(from_yaml.DAGS, dags_folder, dirs_exist_ok=True)

    def found(old: str = "", new: str = "") -> Any:
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(str(from_yaml.write(dags_folder, old, new)))
        assert bag.import_errors == {}
        return bag.dags["digits"]

    return found


def test_yaml_trains_and_registers(dag: Callable[..., Any], run_dag: Run, store: Any) -> None:
    from airflow_train import Model

    outcome = run_dag(dag())
    assert outcome.states() == {"train": "success", "register": "success"}
    assert Model("digits").run_id == outcome.xcom("train", "run_id")
    assert store.spec(Model("digits").run_id).job["arguments"] == ["--c", "10", "--gamma", "0.002"]


def test_an_estimator_may_lie_in_a_file_of_its_own(dag: Callable[..., Any], run_dag: Run) -> None:
    text = (from_yaml.DAGS / "README.md").read_text(encoding="utf-8")
    [inline] = re.findall(r"      estimator:\n(?:        .*\n)+", text)
    outcome = run_dag(dag(inline, "      estimator: estimators/digits.yaml\n"))
    assert outcome.state == "success"
