"""`airflow-train run`: what it says, to whom, and with which exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KEYS = {"run_id", "status", "experiment", "outputs_uri", "logs_uri", "metrics", "error"}


def test_a_person_sees_lines_with_their_rank_and_phases_beside_them(
    cli: Any, define: Callable[..., str]
) -> None:
    answer = cli("run", define("prints_and_logs", script_params={"--lr": "0.10"}))
    assert answer.code == 0
    assert answer.out.splitlines() == ["[0] arguments: --lr 0.10", "[0] done"]
    assert ": Running" in answer.err
    assert "accuracy=0.97" in answer.err


def test_json_is_one_object_and_lines_go_to_standard_error(cli: Any, define: Callable[..., str]) -> None:
    answer = cli("run", define("prints_and_logs", "digits.yaml"), "--json")
    assert answer.code == 0
    assert answer.data.keys() >= KEYS
    assert answer.data["status"] == "Completed"
    assert answer.data["experiment"] == "digits"
    assert answer.data["metrics"] == {"accuracy": 0.97, "loss": "NaN"}
    assert answer.data["error"] is None
    assert Path(answer.data["outputs_uri"], "model.txt").read_text() == "a model\n"
    assert "[0] done" in answer.err


def test_a_failed_run_is_told_once_and_ends_with_1(cli: Any, define: Callable[..., str]) -> None:
    answer = cli("run", define("fails"))
    assert answer.code == 1
    assert "[0] before the end" in answer.out
    assert "error: Run " in answer.err
    assert "ValueError: the data is bad" in answer.err
    assert "before the end" not in answer.err


def test_a_failed_run_is_an_object_too(cli: Any, define: Callable[..., str]) -> None:
    answer = cli("run", define("fails"), "--json")
    assert answer.code == 1
    assert answer.data.keys() >= KEYS
    assert answer.data["status"] == "Failed"
    assert "the data is bad" in answer.data["error"]


def test_a_definition_that_is_wrong_ends_with_2_and_its_place(cli: Any, define: Callable[..., str]) -> None:
    path = define("fails", node_count=0)
    answer = cli("run", path)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {path}:")
    assert "node_count is 0" in answer.err


def test_bad_input_with_json_is_an_object_without_a_run(cli: Any, define: Callable[..., str]) -> None:
    answer = cli("run", define("fails", node_count=0), "--json")
    assert answer.code == 2
    assert answer.data.keys() >= KEYS
    assert answer.data["run_id"] is None
    assert "node_count is 0" in answer.data["error"]


def test_set_reaches_the_script_as_it_was_written(cli: Any, define: Callable[..., str]) -> None:
    path = define("prints_and_logs", script_params={"--lr": "1", "--epochs": "3"})
    answer = cli("run", path, "--set", "script_params.--lr=010", "--set", "script_params.--at=12:30")
    assert "[0] arguments: --epochs 3 --lr 010 --at 12:30" in [
        answer.out.splitlines()[0],
        answer.out.splitlines()[0].replace("--lr 010 --epochs 3", "--epochs 3 --lr 010"),
    ]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("node_count=0", "--set node_count=0: node_count is 0"),
        ("nodecount=2", "did you mean node_count?"),
        ("node_count", "must be PATH=YAML"),
        ("tags=[a", "--set tags=[a: the value can't be read as YAML"),
        ("entry_script.x=1", "--set entry_script.x=1: entry_script is"),
    ],
)
def test_a_wrong_set_names_the_option(cli: Any, define: Callable[..., str], option: str, said: str) -> None:
    answer = cli("run", define("fails"), "--set", option)
    assert answer.code == 2
    assert said in answer.err


def test_a_template_that_only_a_dag_renders_is_warned_of_until_it_is_set(
    cli: Any, define: Callable[..., str]
) -> None:
    file = define("prints_and_logs", script_params={"--lr": "{{ params.lr }}"})
    answer = cli("dry-run", file)
    assert answer.code == 0
    assert ":3: script_params['--lr'] is a template, which only a DAG renders" in answer.err
    assert "template" not in cli("dry-run", file, "--set", "script_params.--lr=0.1").err


def test_experiment_and_tags_of_the_command_line_win(cli: Any, define: Callable[..., str]) -> None:
    path = define("prints_and_logs", experiment="theirs", tags={"who": "file", "kept": "yes"})
    answer = cli("run", path, "--experiment", "ours", "--tag", "who=me", "--json")
    assert answer.data["experiment"] == "ours"
    assert answer.data["tags"] == {"who": "me", "kept": "yes"}


def test_a_detached_run_prints_its_id_and_goes_on(
    cli: Any, define: Callable[..., str], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    answer = cli("run", define("waits_for_file", script_params={str(go): ""}), "--detach")
    run_id = answer.out.strip()
    assert answer.code == 0
    assert f"airflow-train runs logs -f {run_id}" in answer.err
    go.touch()
    assert cli("runs", "wait", run_id).code == 0
    assert cli("runs", "logs", run_id).out.splitlines() == ["ready", "went on"]


def test_dry_run_shows_the_plan_and_writes_nothing(
    cli: Any, define: Callable[..., str], store_uri: str
) -> None:
    answer = cli("dry-run", define("prints_and_logs"), "--json")
    assert answer.code == 0
    assert answer.data["snapshot"]["files"] == 1
    assert answer.data["plan"]["launch"]["command"][-1] == "train.py"
    assert not Path(store_uri).exists()


def test_whoever_stops_reading_causes_no_traceback() -> None:
    line = f"{sys.executable} -m airflow_train.cli schema | head -c 1"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("{", "")
