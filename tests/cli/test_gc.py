"""`airflow-train gc`: what no run has used for long goes, what one uses stays, whatever is asked."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train.store.run_store import open_store
from tests.targets.lab import until
from tests.wheels import Index

Cli = Callable[..., Any]
Define = Callable[..., str]


@pytest.fixture
def used(cli: Cli, define: Define, packages: Index, tmp_path: Path) -> Path:
    """An environment that a run has used; returns where environments are."""
    assert cli("run", define("prints_and_logs", pip_packages=["probe"])).code == 0
    return Path(os.environ["AIRFLOW_TRAIN_ENVIRONMENTS"])


def links(place: Path) -> list[str]:
    return [one.name for one in place.iterdir() if one.is_symlink()]


def test_an_environment_stays_for_a_month_after_its_last_use(cli: Cli, used: Path) -> None:
    [key] = links(used)
    assert cli("gc", "--target", "local", "--json").data == []
    lock = used / "locks" / key
    os.utime(lock, (0, lock.stat().st_mtime - 31 * 86400))

    [shown] = cli("gc", "--target", "local", "--dry-run", "--json").data
    assert (shown["key"], shown["target"], shown["removed"]) == (key, "local", False)
    assert shown["what"] == f"environment {used / key}"
    assert shown["bytes"] > 1000
    assert "31 d ago" in cli("gc", "--target", "local", "--dry-run").out
    assert links(used) == [key]
    [removed] = cli("gc", "--target", "local", "--json").data
    assert removed["removed"]
    assert [one for one in used.rglob("*") if not one.is_dir()] == []
    assert cli("gc", "--target", "local", "--older-than", "0s", "--json").data == []


def test_what_a_run_uses_stays_and_is_built_again_when_it_was_removed(
    cli: Cli, define: Define, used: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    file = define("waits_for_file", pip_packages=["probe"], script_params={str(go): ""})
    run_id = cli("run", "--detach", file).out.strip()
    until(lambda: open_store().record(run_id).starts)

    assert cli("gc", "--target", "local", "--older-than", "0s", "--json").data == []
    go.touch()
    assert cli("runs", "wait", run_id).code == 0
    assert len(cli("gc", "--target", "local", "--older-than", "0s", "--json").data) == 1
    again = cli("run", file)
    assert (again.code, "phase build" in again.err, "went on" in again.out) == (0, True, True)


def test_what_a_killed_builder_left_goes_too(cli: Cli, define: Define, packages: Index) -> None:
    packages.slow("late")
    run_id = cli("run", "--detach", define("prints_and_logs", pip_packages=["late"])).out.strip()
    until(packages.builds)
    place = Path(os.environ["AIRFLOW_TRAIN_ENVIRONMENTS"])
    assert cli("gc", "--target", "local", "--older-than", "0s", "--json").data == []
    claim = open_store().record(run_id).claim
    assert claim is not None
    os.kill(claim["pid"], signal.SIGKILL)
    cli("runs", "wait", run_id)
    [removed] = cli("gc", "--target", "local", "--json").data
    assert removed["what"].startswith("rest of the environment")
    assert [one for one in place.rglob("*") if not one.is_dir()] == []


def test_a_compute_target_that_there_is_not_is_one_sentence(cli: Cli) -> None:
    answer = cli("gc", "--target", "lokal")
    assert (answer.code, "lokal" in answer.err, "local" in answer.err) == (2, True, True)


def test_a_compute_target_that_is_named_has_to_answer(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    answer = cli("gc", "--target", "docker", "--dry-run")

    assert answer.code != 0
    assert "no Docker engine answers at tcp://127.0.0.1:1" in answer.err
    assert answer.out == ""
