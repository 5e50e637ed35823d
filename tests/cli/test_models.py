"""`airflow-train models …`: from a run's file to a model and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def run_id(cli: Any, define: Callable[..., str]) -> str:
    """Id of a run with one output."""
    return str(cli("run", define("prints_and_logs"), "--json").data["run_id"])


def test_a_file_of_a_run_becomes_a_model_and_comes_back(cli: Any, run_id: str, tmp_path: Path) -> None:
    arguments = ("--name", "digits", "--path", "outputs/model.txt", "--tag", "stage=final")
    assert cli("models", "register", run_id, *arguments).out == "digits:1\n"
    shown = cli("models", "show", "digits", "--json").data
    assert (shown["id"], shown["tags"], shown["lineage"]["run_id"]) == (
        "digits:1",
        {"stage": "final"},
        run_id,
    )
    path = cli("models", "download", "digits:1", "--to", str(tmp_path / "here")).out.strip()
    assert Path(path).read_text() == "a model\n"
    assert [one["id"] for one in cli("models", "list", "--json").data] == ["digits:1"]


def test_a_model_is_not_overwritten_unless_forced(cli: Any, run_id: str, tmp_path: Path) -> None:
    cli("models", "register", run_id, "--name", "digits", "--path", "outputs/model.txt")
    assert cli("models", "download", "digits", "--to", str(tmp_path)).code == 0
    again = cli("models", "download", "digits", "--to", str(tmp_path))
    assert again.code == 2
    assert "add --force" in again.err
    assert cli("models", "download", "digits", "--to", str(tmp_path), "--force").code == 0


def test_delete_takes_exactly_one_version(cli: Any, run_id: str) -> None:
    cli("models", "register", run_id, "--name", "digits", "--path", "outputs/model.txt")
    assert cli("models", "delete", "digits").code == 2
    assert cli("models", "delete", "digits:1").code == 0
    assert cli("models", "list", "--json").data == []
    assert cli("models", "show", "digits").code == 2


def test_a_wrong_path_is_answered_with_the_files_that_are_there(cli: Any, run_id: str) -> None:
    answer = cli("models", "register", run_id, "--name", "digits", "--path", "outputs/modell.txt")
    assert answer.code == 2
    assert "outputs/model.txt" in answer.err
