"""What the README shows does what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_train import definitions


def blocks(repository: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def task(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the DAG's tasks came to, asked in a process of its own: Airflow reads its home when it is imported."""
    home = tmp_path_factory.mktemp("home")
    (home / "digits.py").write_text(blocks(repository, "python")[0])
    ask = (
        "import json, runpy; dag = runpy.run_path('digits.py')['dag'];"
        "print(json.dumps({name: [sorted(task.upstream_task_ids), getattr(task, 'estimator', None)]"
        " for name, task in dag.task_dict.items()}))"
    )
    environment = {**os.environ, "AIRFLOW_HOME": str(home), "PYTHONPATH": str(repository)}
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=home, env=environment, capture_output=True, text=True, check=True
    )
    tasks: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return tasks


def test_the_dag_is_short_and_its_second_task_waits_for_the_first(
    repository: Path, task: dict[str, Any]
) -> None:
    assert task["register"][0] == ["train"]
    assert len(blocks(repository, "python")[0].splitlines()) <= 20


def test_the_yaml_says_the_same_as_the_dag(repository: Path, task: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "digits.yaml"
    file.write_text(blocks(repository, "yaml")[0])
    job, other = (definitions.load(one).normalized() for one in (file, task["train"][1]))
    assert job.compute_target == "local"
    job.compute_target = other.compute_target
    assert job == other


def test_the_script_runs_without_a_run(repository: Path) -> None:
    folder = repository / "airflow_train" / "runtime" / "script"
    command = [sys.executable, "-c", blocks(repository, "python")[1]]
    environment = {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "accuracy" in done.stdout


def test_the_same_works_without_airflow(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "dags" / "training" / "digits", tmp_path / "training" / "digits")
    (tmp_path / "digits.yaml").write_text(blocks(repository, "yaml")[0])
    environment = {
        **os.environ,
        "PYTHONPATH": str(repository),
        "AIRFLOW_TRAIN_STORE": str(tmp_path / "store"),
    }
    done = subprocess.run(
        [sys.executable, "-c", blocks(repository, "python")[2]],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=90,
    )  # fmt: skip
    assert "accuracy" in done.stdout
    assert (tmp_path / "models" / "model.joblib").is_file()
