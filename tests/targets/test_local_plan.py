"""The local target's plan is pure and complete; its bundle is the same for the same code; its refusals name all."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest

from airflow_train import targets
from airflow_train.definitions.job import Job
from airflow_train.exceptions import ConfigurationError, UnsupportedByTarget
from airflow_train.runtime import protocol
from airflow_train.store.run_store import open_store
from airflow_train.targets import bundle, launch
from airflow_train.targets.local import plan
from tests.targets.lab import LOCAL, Lab

pytestmark = pytest.mark.only("local")

PLACES = launch.Places(
    "/s/runs/r",
    {"manifest": "/s/snapshots/x.json", "blobs": "/s/blobs"},
    "/s/rt.pyz",
    "/s/script",
    "/py",
    "/usr/py",
)


def launched(lab: Lab, **job: object) -> dict[str, object]:
    return dict(plan.build(lab.spec("", **job), PLACES).launch)


def test_the_same_spec_gives_the_same_plan_as_plain_data(lab: Lab) -> None:
    spec = lab.spec("", distribution={"type": "pytorch"}, process_count_per_node=2)
    target = targets.get(spec.target)

    assert target.plan(spec, lab.store).to_json() == target.plan(spec, lab.store).to_json()
    json.dumps(target.plan(spec, lab.store).to_json(), allow_nan=False)
    assert not lab.path(spec.run_id).exists()


def test_the_launch_file_has_exactly_the_parts_that_the_protocol_names(lab: Lab) -> None:
    named = re.search(r"launch\.json\s+(\{.*?\}\]\})", str(protocol.__doc__), re.DOTALL)

    assert named is not None
    top = re.sub(r"[\[{](?!\"protocol)[^\]}]*[\]}]", "", named.group(1).strip("{}"))
    assert set(re.findall(r"\"(\w+)\"", top)) <= set(launched(lab))
    assert set(launched(lab)) <= set(re.findall(r"\"(\w+)\"", named.group(1)))


@pytest.mark.parametrize(
    ("job", "command"),
    [
        ({"arguments": ["--x", "010"]}, ["/usr/py", "train.py", "--x", "010"]),
        ({"command": "echo $HOME | cat"}, ["/bin/sh", "-c", "echo $HOME | cat"]),
        ({"command": ["a", "b c"]}, ["a", "b c"]),
        (
            {"command": ["a", "b c"], "interpreter_path": "py"},
            ["/bin/sh", "-c", 'PATH="$0:$PATH"; export PATH; exec "$@"', "/usr", "a", "b c"],
        ),
    ],
)
def test_the_command_line(lab: Lab, job: dict[str, object], command: list[str]) -> None:
    assert launched(lab, **job)["command"] == command


@pytest.mark.parametrize("command", ["python 'it works.py'; exit 3", ["python", "it works.py"]])
def test_a_command_finds_the_named_interpreter_first(lab: Lab, tmp_path: Path, command: object) -> None:
    python = tmp_path / "an environment" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    python.chmod(0o755)
    view = lab.run("", command=command, interpreter_path=str(python))

    assert lab.lines(view.record.run_id) == ["it works.py"]
    assert view.record.exits[0]["code"] == 3


def test_an_interpreter_is_found_from_where_the_run_is_submitted(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    spec = lab.spec("", interpreter_path="bin/python")

    command = targets.get(LOCAL).plan(spec, lab.store).to_json()["launch"]["command"]
    assert command[0] == str(tmp_path / "bin" / "python")


def test_every_part_of_an_environment_is_refused_by_the_name_it_was_written_with(lab: Lab) -> None:
    environment = {"name": "e", "image": "i", "docker_arguments": ["-it"], "apt_packages": ["x"]}
    said = targets.get(LOCAL).check(asdict(Job("ScriptRunConfig", ".", environment=environment)), lab.store)

    assert [one.split(" can't")[0] for one in said] == [
        "docker.base_image",
        "arguments of docker",
        "docker.apt_packages",
    ]


def test_the_environment_of_the_submitter_is_not_written_down(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "hunter2")
    run_id = lab.run("print(os.environ['API_TOKEN'])").record.run_id
    written = [one.read_text(errors="replace") for one in lab.path(run_id, "node_0").iterdir()]

    assert lab.lines(run_id) == ["hunter2"]
    assert [text for text in written if "hunter2" in text] == []


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"environment": {"apt_packages": ["git"]}}, "apt_packages"),
        ({"environment": {"name": "e", "use_docker": True}}, "use_docker: true"),
        ({"command": ["x"], "interpreter_path": "/nowhere/python"}, "/nowhere/python"),
        ({"inputs": [{"name": "a"}]}, "inputs"),
        ({"gpu": 1}, "gpu"),
        ({"cpu": 2.0}, "cpu"),
        ({"shm_size": "1g"}, "shm_size"),
        ({"interpreter_path": "/nowhere/python"}, "/nowhere/python"),
    ],
)
def test_what_local_processes_can_not_honour_is_refused_in_one_sentence(
    lab: Lab, job: dict[str, object], words: str
) -> None:
    problems = targets.get(LOCAL).check(asdict(Job("Estimator", ".", **job)), lab.store)  # type: ignore[arg-type]

    assert len(problems) == 1
    assert words in problems[0]
    assert problems[0].endswith((".", "script."))


def test_several_refusals_come_together_and_a_plain_job_has_none(lab: Lab) -> None:
    job = asdict(Job("Estimator", ".", gpu=1, cpu=2.0))

    assert len(targets.get(LOCAL).check(job, lab.store)) == 2
    assert targets.get(LOCAL).check(asdict(Job("Estimator", ".")), lab.store) == []


def test_a_store_that_is_no_folder_is_refused() -> None:
    problems = targets.get(LOCAL).check(asdict(Job("Estimator", ".")), open_store("memory://runs"))

    assert len(problems) == 1
    assert "memory://runs is not a folder of this machine" in problems[0]


@pytest.mark.parametrize(
    ("resolved", "error", "words"),
    [
        (
            {"name": "gpu", "type": "kubernetes"},
            UnsupportedByTarget,
            "'gpu' is of type kubernetes, which this version",
        ),
        ({"name": "x", "type": "loacl"}, ConfigurationError, "unknown type 'loacl'; did you mean local?"),
        ({"name": "x", "type": "slurm"}, ConfigurationError, "types that work here: docker, local"),
        (
            {"name": "x", "type": "local", "options": {"interpreter": "y"}},
            ConfigurationError,
            "'interpreter', which targets of type local don't know; they know interpreter_path",
        ),
    ],
)
def test_a_target_that_is_none_is_named_with_the_mend(
    resolved: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        targets.get(resolved)


# ---------------------------------------------------------------------- bundle


def test_the_runtime_is_one_zipapp_named_by_its_content_and_installed_once(lab: Lab) -> None:
    bundle.install(lab.store)
    archive, script = (Path(lab.store.files.join(name)) for name in bundle.names())
    before = archive.stat().st_mtime_ns
    bundle.install(lab.store)

    assert archive.stat().st_mtime_ns == before
    assert (script / "train_run.py").is_file()
    assert "airflow_train/runtime/node.py" in zipfile.ZipFile(archive).namelist()


def test_two_processes_build_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import hashlib; from airflow_train.targets import bundle as b; d, a, _ = b.contents(); "
        "print(d, hashlib.sha256(a).hexdigest())"
    )
    seeds = [{**os.environ, "PYTHONHASHSEED": seed} for seed in "12"]
    runs = [
        subprocess.run([sys.executable, "-c", code], check=False, env=env, capture_output=True)
        for env in seeds
    ]

    assert runs[0].stdout == runs[1].stdout != b""


@pytest.mark.parametrize("line", [[], ["node"], ["nod", "x"], ["collect", "/nowhere/launch.json"]])
def test_the_runtime_answers_a_line_it_does_not_understand_with_two(lab: Lab, line: list[str]) -> None:
    bundle.install(lab.store)
    archive = lab.store.files.join(bundle.names()[0])

    assert subprocess.run([sys.executable, archive, *line], check=False, capture_output=True).returncode == 2


# ---------------------------------------------------------------------- what Azure ML set


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({}, ("1", "Python", "None")),
        (
            {
                "distribution": {"type": "pytorch", "communication_backend": "Gloo"},
                "node_count": 2,
                "process_count_per_node": 2,
            },
            ("2", "PyTorch", "Gloo"),
        ),
        (
            {
                "distribution": {"type": "tensorflow", "worker_count": 3, "parameter_server_count": 1},
                "node_count": 3,
            },
            ("3", "TensorFlow", "ParameterServer"),
        ),
    ],
)
def test_scripts_find_the_variables_of_azure_ml(
    lab: Lab, job: dict[str, object], said: tuple[str, ...]
) -> None:
    spec = lab.spec("", **job)
    variables = launch.azureml_variables(spec)
    environment = dict(plan.build(spec, PLACES).launch)["environment"]

    assert variables.items() <= environment.items()
    assert tuple(variables[f"AZUREML_{name}"] for name in ("NODE_COUNT", "FRAMEWORK", "COMMUNICATOR")) == said
    assert variables["AZUREML_RUN_ID"] == spec.run_id
    assert variables["AZUREML_ARM_PROJECT_NAME"] == spec.experiment
    assert variables["AZUREML_OUTPUT_DIRECTORY"] == "./outputs"


def test_the_definition_wins_over_the_variables_of_azure_ml(lab: Lab) -> None:
    environment = launched(lab, environment_variables={"AZUREML_NODE_COUNT": "7"})["environment"]

    assert isinstance(environment, dict)
    assert environment["AZUREML_NODE_COUNT"] == "7"


# ---------------------------------------------------------------------- notebooks


def test_a_notebook_is_started_as_a_script_is(lab: Lab) -> None:
    made = launched(lab, entry_script="deep/train.ipynb", arguments=["--c", "1"])["command"]

    assert made[0] == "/usr/py"
    assert made[1].endswith("/train_notebook.py")
    assert made[2:] == ["deep/train.ipynb", "--c", "1"]


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({}, "has no nbconvert and ipykernel to run it; `pip install nbconvert ipykernel` there."),
        ({"distribution": {"type": "pytorch"}}, "can't be one of several processes"),
    ],
)
def test_a_notebook_that_could_not_run_is_refused_at_submit(
    lab: Lab, job: dict[str, object], words: str, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    python.chmod(0o755)
    whole = {"entry_script": "train.ipynb", "interpreter_path": str(python), **job}
    problems = targets.get(LOCAL).check(asdict(Job("Estimator", ".", **whole)), lab.store)  # type: ignore[arg-type]

    assert words in "\n".join(problems)
