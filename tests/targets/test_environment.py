"""What a script finds on every target: its arguments and variables untouched, and nothing of Airflow's own."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.targets.lab import Lab

SHOW = "import json; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), sys.executable]))"


def shown(lab: Lab, **job: object) -> tuple[list[str], dict[str, str], str, str]:
    run_id = lab.run(SHOW, **job).record.run_id
    arguments, variables, folder, python = json.loads(lab.lines(run_id)[0])
    return arguments, variables, folder, python


def test_arguments_arrive_as_they_were_written(lab: Lab) -> None:
    odd = ["010", "two words", "ümläut 数据", "", "--x=$HOME", "a\nb", "'\"\\", "*", "-"]

    assert shown(lab, arguments=odd)[0] == odd


def test_variables_of_the_definition_arrive_as_they_were_written(lab: Lab) -> None:
    variables = {
        "EMPTY": "",
        "SPACES": "  a b ",
        "LETTERS": "ümläut 数据 🚀",
        "LINES": "a\nb",
        "SIGNS": "$HOME 'x' \"y\" \\ %d {z}",
    }
    run_id = lab.run(
        f"import json; print(json.dumps({{one: os.environ[one] for one in {[*variables]!r}}}))",
        environment_variables=variables,
    ).record.run_id

    assert json.loads(lab.lines(run_id)[0]) == variables


@pytest.mark.deviates("docker", "a container has the variables of its image, not the submitter's")
def test_variables_of_the_definition_and_of_the_submitter_arrive(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_OUTSIDE", "ä b")
    monkeypatch.setenv("BOTH", "outside")
    variables = shown(lab, environment_variables={"BOTH": "definition", "ODD": "ü = 'x'\n数"})[1]

    assert [variables[name] for name in ("FROM_OUTSIDE", "BOTH", "ODD")] == [
        "ä b",
        "definition",
        "ü = 'x'\n数",
    ]


@pytest.mark.deviates("docker", "no variable of the submitter arrives there")
def test_airflows_own_variables_stay_outside(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ["AIRFLOW__CORE__FERNET_KEY", "AIRFLOW_CONN_DB", "AIRFLOW_VAR_TOKEN", "AIRFLOW_TRAIN_STORE"]
    secrets += ["_AIRFLOW_WWW_PASSWORD", "__AIRFLOW_SUPERVISOR_FD"]
    for name in secrets:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "digits")
    variables = shown(lab)[1]

    assert [name for name in secrets if name in variables] == []
    assert (variables["AIRFLOW_CTX_DAG_ID"], "secret" in variables.values()) == ("digits", False)


def test_nor_can_a_script_read_them_from_its_parents(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    run_id = lab.start(
        """
        pid = os.getppid()
        while pid:
            fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
            if "runtime.pyz" in open(f"/proc/{pid}/cmdline").read():
                assert "FERNET_KEY" not in open(f"/proc/{pid}/environ").read()
                mark("looked")
            pid = int(fields[1])
        """
    )

    assert lab.wait(run_id).status == "Completed"
    assert lab.marks(run_id).count("looked") == 2


def test_the_script_knows_its_run(lab: Lab) -> None:
    variables = shown(lab)[1]

    assert (variables["AIRFLOW_TRAIN_RUN_ID"], variables["AIRFLOW_TRAIN_EXPERIMENT"]) == (
        lab.run_ids[0],
        "lab",
    )


def test_the_working_directory_is_the_runs_own(lab: Lab) -> None:
    folder = shown(lab)[2]

    assert folder == lab.work(lab.run_ids[0])


@pytest.mark.deviates("docker", "the interpreter is the image's, see test_docker.py")
def test_the_script_runs_under_this_interpreter_or_the_one_that_is_named(lab: Lab, tmp_path: Path) -> None:
    named = tmp_path / "my python"
    named.symlink_to(shutil.which("python3", path=os.defpath) or sys.executable)

    assert shown(lab)[3] == sys.executable
    assert shown(lab, interpreter_path=str(named))[3] == str(named)


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (["/bin/echo", "a b", "$HOME"], ["a b $HOME"]),
        ("echo a   b; echo $((1 + 2)) | cat", ["a b", "3"]),
    ],
)
def test_an_own_command_is_a_list_for_the_system_or_text_for_a_shell(
    lab: Lab, command: object, lines: list[str]
) -> None:
    view = lab.run("", command=command, entry_script=None)

    assert (view.status, lab.lines(view.record.run_id)) == ("Completed", lines)


def test_standard_input_is_empty(lab: Lab) -> None:
    assert lab.lines(lab.run("print(repr(sys.stdin.read()))").record.run_id) == ["''"]


def test_files_with_odd_names_are_staged_and_come_home(lab: Lab) -> None:
    names = ["ä b/ü.txt", "-rf", "a'b\"c", "100% #1 [x] & y", "数据.csv"]
    spec = lab.spec("")
    code = b"import os, shutil\nshutil.copytree('in', 'outputs/out')\n"
    files = {"train.py": code, **{f"in/{name}": name.encode() for name in names}}
    spec.snapshot["id"] = lab.snapshot(files)  # type: ignore[index]
    lab.submit(spec)

    assert lab.wait(spec.run_id).status == "Completed"
    assert [lab.output(spec.run_id, f"outputs/out/{name}") for name in names] == names
