"""What the README shows does what it says."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_train import definitions

pytestmark = pytest.mark.xdist_group("airflow")


def blocks(repository: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)


def test_the_dag_is_a_dag_whose_second_task_waits_for_the_first(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "digits.py"
    file.write_text(blocks(repository, "python")[0])
    dag = runpy.run_path(str(file))["dag"]
    assert dag.task_dict["register"].upstream_task_ids == {"train"}
    assert len(blocks(repository, "python")[0].splitlines()) <= 15


def test_the_yaml_says_the_same_as_the_dag(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "digits.yaml"
    file.write_text(blocks(repository, "yaml")[0])
    source = tmp_path / "digits.py"
    source.write_text(blocks(repository, "python")[0])
    in_python = runpy.run_path(str(source))["dag"].task_dict["train"].estimator
    job, other = (definitions.load(one).normalized() for one in (file, in_python))
    assert job.compute_target == "local"
    job.compute_target = other.compute_target
    assert job == other


def test_the_script_runs_without_a_run(repository: Path) -> None:
    folder = repository / "airflow_train" / "runtime" / "script"
    command = [sys.executable, "-c", blocks(repository, "python")[1]]
    environment = {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "accuracy" in done.stdout
