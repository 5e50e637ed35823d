"""`validate`, `schema`, `doctor` and wrong command lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train.cli.main import main


def test_validate_names_every_problem_of_every_file(
    cli: Any, define: Callable[..., str], tmp_path: Path
) -> None:
    good = define("fails", "good.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("type: Estimator\nsource_directory: .\nentry_scrip: train.py\nnode_count: 0\n")
    missing = define("nowhere", "missing.yaml")
    answer = cli("validate", good, str(bad), missing)
    assert answer.code == 2
    assert answer.out == f"ok {good}\n"
    assert f"error: {bad}:3: " in answer.err
    assert f"error: {bad}:4: " in answer.err
    assert f"error: {missing}" in answer.err
    assert cli("validate", good).code == 0


def test_validate_asks_the_target(cli: Any, define: Callable[..., str]) -> None:
    answer = cli("validate", define("fails", shm_size="1g"))
    assert answer.code == 2
    assert "shm_size" in answer.err


def test_validate_leaves_templates_to_airflow(cli: Any, define: Callable[..., str]) -> None:
    assert cli("validate", define("fails", node_count="{{ params.nodes }}")).code == 0


def test_doctor_tries_the_store_and_leaves_nothing(cli: Any, store_uri: str) -> None:
    answer = cli("doctor", "--json")
    assert answer.code == 0
    states = {one["what"]: one["state"] for one in answer.data}
    assert states["store"] == states["target local: interpreter"] == "ok"
    assert states["target kubernetes"] == "note"
    assert not Path(store_uri).exists()


@pytest.mark.cgroups
@pytest.mark.mpi
@pytest.mark.usefixtures("cgroups", "mpi_python")
def test_doctor_says_where_memory_limits_hold_and_whose_mpirun_runs(cli: Any) -> None:
    found = {one["what"]: one["found"] for one in cli("doctor", "--json").data}

    assert found["target local: memory limits"].startswith("held by cgroups of version ")
    assert found["target local: mpirun"].startswith("Open MPI ")


def test_doctor_says_what_is_broken(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AIRFLOW_TRAIN_STORE", str(tmp_path / "file" / "store"))
    answer = cli("doctor")
    assert answer.code == 1
    assert "problem" in answer.out
    assert "choose another store folder" in answer.out


def test_doctor_names_the_line_of_a_broken_targets_file(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "targets.yaml"
    path.write_text("gpus:\n  namespace: training\n")
    monkeypatch.setenv("AIRFLOW_TRAIN_TARGETS", str(path))
    answer = cli("doctor")
    assert answer.code == 1
    assert f"{path}:1: gpus has no type" in answer.out


@pytest.mark.parametrize(
    "line", [[], ["runs"], ["train"], ["run"], ["runs", "list", "--limit", "few"], ["run", "--js", "f"]]
)
def test_a_wrong_command_line_is_one_sentence_and_2(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: ")


def test_an_unforeseen_error_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> int:
        raise ZeroDivisionError("it happens")

    monkeypatch.setattr("airflow_train.cli.checking.schema", broken)
    assert main(["schema"]) == 1
    assert "AIRFLOW_TRAIN_DEBUG=1" in capsys.readouterr().err
    monkeypatch.setenv("AIRFLOW_TRAIN_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["schema"])


def test_help_imports_none_of_the_rooms() -> None:
    script = """
import sys
from airflow_train.cli.main import main
main(["--help"])
heavy = {"yaml", "rich", "fsspec", "airflow", "airflow_train.lifecycle", "airflow_train.definitions"}
sys.exit(bool(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0


def test_validate_and_dry_run_say_what_is_built(cli: Any, define: Callable[..., str]) -> None:
    plain, built = (
        define("fails", "plain.yaml"),
        define("fails", "built.yaml", pip_packages=["wheel==0.45.0"]),
    )
    assert cli("validate", plain, "--json").data[0]["environment"] is None
    (said,) = cli("validate", built, "--json").data
    assert said["environment"]["recipe"] == {"pip": ["wheel==0.45.0"]}
    key = said["environment"]["key"]
    assert f"   environment {key}: pip wheel==0.45.0\n" in cli("validate", built).out
    assert cli("dry-run", built, "--json").data["environment"] == said["environment"]
    assert f"{key}: pip wheel==0.45.0" in cli("dry-run", built).out
    assert "nothing is built" in cli("dry-run", plain).out


def test_validate_says_once_what_is_wrong_with_a_requirements_file(
    cli: Any, define: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "t.py").touch()
    (tmp_path / "src" / "r.txt").write_text("numpy\n-e .\n")
    file = define(
        "t", source_directory=str(tmp_path / "src"), entry_script="t.py", pip_requirements_file="r.txt"
    )
    answer = cli("validate", file)
    assert answer.err.count("this line is -e .") == 1
