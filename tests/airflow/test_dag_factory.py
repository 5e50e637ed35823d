"""dag-factory, as it is on PyPI, makes DAGs of our operators from YAML: both files as `dags/README.md` shows them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).parents[2] / "dags"

Run = Callable[..., Any]


@pytest.fixture
def from_yaml(dags_folder: Path) -> Callable[[str, str], Any]:
    """The DAG that Airflow finds behind the loader of the README, after a change of its YAML."""
    shutil.copytree(DAGS, dags_folder, dirs_exist_ok=True)
    text = (DAGS / "README.md").read_text(encoding="utf-8")
    shown = {
        language: re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) for language in ("yaml", "python")
    }
    [yaml], [loader] = shown["yaml"], shown["python"]

    def found(old: str = "", new: str = "") -> Any:
        from airflow.dag_processing.dagbag import DagBag

        assert old in yaml
        (dags_folder / "digits.yml").write_text(yaml.replace(old, new), encoding="utf-8")
        (dags_folder / "from_yaml.py").write_text(loader, encoding="utf-8")
        bag = DagBag(str(dags_folder / "from_yaml.py"))
        assert bag.import_errors == {}
        return bag.dags["digits"]

    return found


def test_yaml_trains_and_registers(from_yaml: Callable[..., Any], run_dag: Run, store: Any) -> None:
    from airflow_train import Model

    outcome = run_dag(from_yaml())
    assert outcome.states() == {"train": "success", "register": "success"}
    assert Model("digits").run_id == outcome.xcom("train", "run_id")
    assert store.spec(Model("digits").run_id).job["arguments"] == ["--c", "10", "--gamma", "0.002"]


def test_an_estimator_may_lie_in_a_file_of_its_own(from_yaml: Callable[..., Any], run_dag: Run) -> None:
    text = (DAGS / "README.md").read_text(encoding="utf-8")
    [inline] = re.findall(r"      estimator:\n(?:        .*\n)+", text)
    outcome = run_dag(from_yaml(inline, "      estimator: estimators/digits.yaml\n"))
    assert outcome.state == "success"
