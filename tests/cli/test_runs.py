"""`airflow-train runs …` over real runs."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def trained(cli: Any, define: Callable[..., str]) -> str:
    """Id of a run that has completed."""
    return str(cli("run", define("prints_and_logs", "digits.yaml"), "--json").data["run_id"])


@pytest.fixture
def failed(cli: Any, define: Callable[..., str]) -> str:
    """Id of a run that has failed."""
    return str(cli("run", define("fails", "broken.yaml"), "--json").data["run_id"])


def test_list_is_newest_first_with_filters(cli: Any, trained: str, failed: str) -> None:
    assert [one["run_id"] for one in cli("runs", "list", "--json").data] == [failed, trained]
    assert [one["run_id"] for one in cli("runs", "list", "--json", "--limit", "1").data] == [failed]
    assert [one["run_id"] for one in cli("runs", "list", "--json", "--status", "completed").data] == [trained]
    assert [one["run_id"] for one in cli("runs", "list", "--json", "--experiment", "broken").data] == [failed]


def test_list_for_people_has_a_line_per_run(cli: Any, trained: str, failed: str) -> None:
    header, first, second = cli("runs", "list").out.splitlines()
    assert header.split()[:3] == ["run", "experiment", "status"]
    assert first.split()[:3] == [failed, "broken", "Failed"]
    assert second.split()[:3] == [trained, "digits", "Completed"]


def test_an_empty_store_lists_nothing(cli: Any, store_uri: str) -> None:
    assert cli("runs", "list", "--json").data == []
    answer = cli("runs", "list")
    assert (answer.code, answer.out) == (0, "")
    assert "no runs in" in answer.err
    assert not Path(store_uri).exists()


def test_an_unknown_status_is_answered_with_the_nearest(cli: Any) -> None:
    answer = cli("runs", "list", "--status", "complete")
    assert answer.code == 2
    assert "did you mean Completed?" in answer.err


def test_show_has_the_keys_of_run_and_more(cli: Any, failed: str) -> None:
    data = cli("runs", "show", failed, "--json").data
    assert data["status"] == "Failed"
    [listed] = cli("runs", "list", "--json").data
    assert {key: data[key] for key in listed} == listed
    assert {"run_id", "experiment", "outputs_uri", "logs_uri", "metrics", "tags", "properties"} <= data.keys()
    assert [one["code"] for one in data["ranks"]] == [1]
    assert data["verdict"]["exception"]["type"] == "ValueError"
    people = cli("runs", "show", failed)
    assert people.code == 0
    assert "the data is bad" in people.out


def test_a_model_that_was_not_registered_is_warned_of(cli: Any, define: Callable[..., str]) -> None:
    answer = cli("run", define("vanishing_model"))
    run_id = answer.err.split()[1]
    (warning,) = cli("runs", "show", run_id, "--json").data["warnings"]

    assert warning["source"] == "register_model"
    assert warning["message"] in answer.err
    assert warning["message"] in cli("runs", "show", run_id).out


def test_show_names_the_present_phase_its_limit_and_all_that_have_been(
    cli: Any, define: Callable[..., str], trained: str
) -> None:
    path = define("waits_for_file", script_params={"/nowhere": ""}, max_run_duration_seconds=600)
    run_id = cli("run", path, "--detach").out.strip()
    assert [one["name"] for one in cli("runs", "show", trained, "--json").data["phases"]] == [
        *("start", "stage", "run", "collect"),
    ]
    deadline = time.monotonic() + 20
    while (now := cli("runs", "show", run_id, "--json").data["phase"])["name"] != "run":
        assert time.monotonic() < deadline
    shown = cli("runs", "show", run_id).out
    cli("runs", "cancel", run_id)

    assert (now["limit"], now["until"]) == (600.0, None)
    assert re.search(r"^phase +run \(limit 600 s\), since 20", shown, re.MULTILINE)
    assert re.search(r"^stage +20\S+ +\d+\.\d s +3600 s +laying out the code", shown, re.MULTILINE)


def test_an_unknown_run_is_answered_with_the_nearest(cli: Any, trained: str) -> None:
    answer = cli("runs", "show", trained[:-1])
    assert (answer.code, answer.out) == (2, "")
    assert f"did you mean {trained}?" in answer.err


def test_a_dag_run_id_is_answered_with_the_mend(cli: Any) -> None:
    answer = cli("runs", "show", "manual__2026-11-21T05:00:00+00:00")
    assert answer.code == 2
    assert "is the id of a DAG run" in answer.err


def test_wait_gives_the_codes_of_run_and_the_last_lines(cli: Any, trained: str, failed: str) -> None:
    assert cli("runs", "wait", trained).code == 0
    answer = cli("runs", "wait", failed)
    assert answer.code == 1
    assert answer.err.count("before the end") == 1


def test_logs_as_json_lines(cli: Any, trained: str) -> None:
    lines = [json.loads(line) for line in cli("runs", "logs", trained, "--json").out.splitlines()]
    assert [line["text"] for line in lines] == ["arguments:", "done"]
    assert all(line["rank"] == 0 and line["time"].endswith("Z") for line in lines)


def test_logs_of_a_rank_that_is_not_there(cli: Any, trained: str) -> None:
    answer = cli("runs", "logs", trained, "--rank", "7")
    assert answer.code == 2
    assert f"--rank is 7 but run {trained} has rank 0 only" in answer.err


def test_logs_of_several_ranks_name_the_rank(cli: Any, define: Callable[..., str]) -> None:
    path = define("prints_and_logs", distributed_training={"type": "pytorch"}, process_count_per_node=2)
    run_id = cli("run", path, "--json").data["run_id"]
    assert sorted(cli("runs", "logs", run_id).out.splitlines()) == sorted(
        f"[{rank}] {text}" for rank in (0, 1) for text in ("arguments:", "done")
    )
    assert cli("runs", "logs", run_id, "--rank", "1").out.splitlines() == ["arguments:", "done"]


def test_logs_of_several_nodes_name_both_and_can_be_asked_for_by_either(
    cli: Any, define: Callable[..., str]
) -> None:
    training = {"type": "pytorch", "process_count": 4}
    run_id = cli(
        "run", define("prints_and_logs", distributed_training=training, node_count=2), "--json"
    ).data["run_id"]

    def speakers(*options: str) -> list[str]:
        return sorted(
            line.removesuffix(" done")
            for line in cli("runs", "logs", run_id, *options).out.splitlines()
            if "done" in line
        )

    assert speakers() == [f"[node {rank // 2} rank {rank}]" for rank in range(4)]
    assert speakers("--node", "1") == ["[node 1 rank 2]", "[node 1 rank 3]"]
    assert speakers("--rank", "3") == ["done"]
    lines = [json.loads(line) for line in cli("runs", "logs", run_id, "--json").out.splitlines()]
    assert {(line["rank"], line["node"]) for line in lines} == {(0, 0), (1, 0), (2, 1), (3, 1)}
    assert "has nodes 0 to 1" in cli("runs", "logs", run_id, "--node", "2").err
    assert "not allowed with" in cli("runs", "logs", run_id, "--node", "1", "--rank", "3").err


def test_logs_follow_until_the_run_ends(
    command: tuple[str, ...], cli: Any, define: Callable[..., str], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    run_id = cli("run", define("waits_for_file", script_params={str(go): ""}), "--detach").out.strip()
    process = subprocess.Popen([*command, "runs", "logs", "-f", run_id], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    go.touch()
    rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "went on\n")


def test_metrics_are_lists_where_logged_several_times(cli: Any, trained: str) -> None:
    assert cli("runs", "metrics", trained, "--json").data == {"accuracy": [0.5, 0.97], "loss": "NaN"}
    assert re.search(r"accuracy +0\.97 +2 values", cli("runs", "metrics", trained).out)


def test_system_metrics_are_asked_for(cli: Any, trained: str) -> None:
    found = cli("runs", "metrics", trained, "--system", "--json").data
    shown = cli("runs", "metrics", trained, "--system").out

    assert set(found) == {"system/cpu_percent/node0", "system/memory_bytes/node0"}
    assert "system/memory_bytes/node0" in shown


def test_download_keeps_the_prefix(cli: Any, trained: str, tmp_path: Path) -> None:
    names = cli("runs", "files", trained).out.splitlines()
    assert "outputs/model.txt" in names
    assert cli("runs", "files", trained, "--json").data == names
    answer = cli("runs", "download", trained, "--prefix", "outputs", "--to", str(tmp_path / "here"))
    assert answer.code == 0
    assert (tmp_path / "here/outputs/model.txt").read_text() == "a model\n"
    assert not (tmp_path / "here/user_logs").exists()


def test_download_of_nothing_names_what_is_there(cli: Any, trained: str) -> None:
    answer = cli("runs", "download", trained, "--prefix", "output")
    assert answer.code == 2
    assert "outputs/model.txt" in answer.err


def test_cancel_stops_a_run_and_wait_ends_with_3(cli: Any, define: Callable[..., str]) -> None:
    run_id = cli("run", define("ignores_term", grace_seconds=0.2), "--detach").out.strip()
    answer = cli("runs", "cancel", run_id, "--reason", "seen enough", "--json")
    assert answer.code == 0
    assert answer.data["run_id"] == run_id
    waited = cli("runs", "wait", run_id, "--json")
    assert waited.code == 3
    assert waited.data["status"] == "Canceled"
    assert "seen enough" in waited.data["error"]
    assert "had ended before: Canceled" in cli("runs", "cancel", run_id).err
