"""`airflow-train environments …`: from a file to a version that definitions name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An environment's file."""
    made = tmp_path / "environment.yaml"
    made.write_text("name: digits\npython:\n  pip_packages: [wheel==0.45.0]\n")
    return made


def test_a_file_becomes_a_version_which_is_listed_shown_and_named(
    cli: Any, define: Callable[..., str], file: Path
) -> None:
    assert cli("environments", "list").err == "no environments\n"
    assert cli("environments", "register", str(file)).out == "digits:1\n"
    assert cli("environments", "register", str(file)).out == "digits:1\n"
    file.write_text(file.read_text().replace("45", "46"))
    assert cli("environments", "register", str(file), "--json").data["version"] == 2
    assert [one["version"] for one in cli("environments", "list", "--json").data] == [2]
    assert "wheel==0.45.0" in cli("environments", "show", "digits:1").out
    named = define("fails", environment_definition="digits:1")
    assert cli("validate", named, "--json").data[0]["environment"]["recipe"] == {"pip": ["wheel==0.45.0"]}


def test_the_list_counts_packages_wherever_they_are_written(cli: Any, file: Path) -> None:
    inside = "[python=3.11, python-dateutil, {pip: [scikit-learn]}]"
    file.write_text(f"name: digits\npython: {{conda_dependencies: {{dependencies: {inside}}}}}\n")
    cli("environments", "register", str(file))

    assert "python=3.11, conda=1, pip=1" in cli("environments", "list").out


def test_a_context_is_found_beside_the_file(cli: Any, file: Path) -> None:
    (file.parent / "docker").mkdir()
    (file.parent / "docker" / "Dockerfile").write_text("FROM a\n")
    file.write_text("name: digits\ndocker:\n  build_context: {location: docker}\n")
    made = cli("environments", "register", str(file), "--json").data["environment"]
    assert made["docker"]["build_context"]["location_type"] == "snapshot"


def test_a_name_that_is_not_there_and_a_wrong_file_are_one_sentence(cli: Any, file: Path) -> None:
    cli("environments", "register", str(file))
    answer = cli("environments", "show", "digit")
    assert answer.code == 2
    assert "did you mean digits?" in answer.err
    file.write_text("name: digits\npython:\n  pip_package: [a]\n")
    answer = cli("environments", "register", str(file))
    assert answer.code == 2
    assert f"{file}:3: " in answer.err


@pytest.mark.usefixtures("packages")
def test_the_key_that_is_shown_is_the_one_that_is_built(
    cli: Any, define: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_TRAIN_ENVIRONMENTS", str(tmp_path / "environments"))
    file = define("prints_and_logs", pip_packages=["probe"])
    shown = cli("validate", file, "--json").data[0]["environment"]
    assert cli("run", file).code == 0
    assert (tmp_path / "environments" / shown["key"]).exists()
