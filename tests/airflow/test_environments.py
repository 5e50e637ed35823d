"""Packages of a task's script: built while the task waits, heard in its log, and told apart from bad luck."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.wheels import Index

Dag = Callable[..., Any]
Run = Callable[..., Any]
Script = Callable[..., str]

DATA = {"type": "Estimator", "source_directory": "code", "entry_script": "train.py"}


def train(*packages: str, more: str = "deferrable=False") -> str:
    data = {**DATA, "pip_packages": list(packages)}
    return f'EstimatorOperator(task_id="train", estimator={data}, retry_delay=timedelta(0), {more})\n'


def test_a_task_waits_for_its_packages_and_its_log_shows_how_they_come(
    make_dag: Dag,
    run_dag: Run,
    script: Script,
    packages: Index,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    script("import probe; from train_run import Run; Run.get_context().log('version', probe.VERSION)")
    outcome = run_dag(make_dag(train("probe")))
    assert outcome.state == "success"
    assert outcome.xcom("train", "metrics") == {"version": "1.0"}
    # Airflow sets up logging with its first task: that one is heard on its output, later ones by pytest
    shown = caplog.text + "".join(capfd.readouterr())
    assert "Preparing, phase build: " in shown
    assert "[build]  + probe==1.0" in shown


def test_packages_that_cant_be_built_are_no_bad_luck(
    make_dag: Dag, run_dag: Run, script: Script, packages: Index, store: Any
) -> None:
    script("")
    packages.slow("broken", error="error: no compiler for Fortran")
    outcome = run_dag(make_dag(train("broken", more="retries=1, retry_on=['infrastructure']")))
    assert outcome.task("train").try_number == 1
    [run] = store.list_runs()
    assert "Failed to build `broken==1.0`: error: no compiler for Fortran; correct the packages" in run.error


def test_an_index_that_cant_be_reached_is(
    make_dag: Dag, run_dag: Run, script: Script, packages: Index, store: Any
) -> None:
    script("")
    outcome = run_dag(make_dag(train("nosuch", more="retries=1, retry_on=['infrastructure']")))
    assert outcome.task("train").try_number == 2
    assert ["the package index can't be reached" in str(run.error) for run in store.list_runs()] == [True] * 2
