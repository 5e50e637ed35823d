"""`airflow train …` is `airflow-train …`: same words, same exit codes, nothing else on standard output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_train.cli import parser


@pytest.fixture
def airflow(clean_environment: None) -> list[str]:
    """Airflow's command, where providers may add to it."""
    from importlib import metadata

    if tuple(map(int, metadata.version("apache-airflow-core").split(".")[:2])) < (3, 2):
        pytest.skip("Airflow mounts commands of providers from 3.2 on")
    return [str(Path(sys.executable).with_name("airflow")), "train"]


def run(command: list[str], *more: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [*command, *more], capture_output=True, text=True, env=environment, cwd=cwd, check=False
    )


def test_a_run_ends_with_the_exit_code_and_the_json_of_the_script_of_our_own(
    airflow: list[str], tmp_path: Path, store_uri: str
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "d.yaml").write_text("type: Estimator\nsource_directory: code\nentry_script: train.py\n")
    answer = run(airflow, "run", "d.yaml", "--json", cwd=tmp_path)
    assert answer.returncode == 1, answer.stderr
    assert json.loads(answer.stdout)["status"] == "Failed"


def test_help_is_ours_and_a_wrong_line_gets_one_sentence(airflow: list[str]) -> None:
    assert run(airflow, "--help").stdout == parser.build("airflow train").format_help()
    wrong = run(airflow, "runs", "show", "nope")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.splitlines()[-1].startswith("error: there is no run nope in ")
