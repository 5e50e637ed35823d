"""`ScriptRunConfig` and `Environment`: scripts, commands, packages and images."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from airflow_train.definitions import (
    DockerConfiguration,
    Environment,
    MpiConfiguration,
    PyTorchConfiguration,
    ScriptRunConfig,
)
from airflow_train.exceptions import DefinitionError


def test_a_script_run_has_the_parameters_of_the_original_and_our_additions() -> None:
    original = [
        "source_directory", "script", "arguments", "run_config", "compute_target", "environment",
        "distributed_job_config", "resume_from", "max_run_duration_seconds", "command", "docker_runtime_config",
    ]  # fmt: skip
    parameters = list(inspect.signature(ScriptRunConfig).parameters)
    assert parameters[: len(original)] == original
    assert set(parameters[len(original) :]) == {
        "experiment",
        "cpu",
        "memory",
        "gpu",
        "tags",
        "grace_seconds",
        "no_progress_timeout",
        "secrets",
    }


def test_a_run_lasts_at_most_thirty_days_unless_told() -> None:
    assert ScriptRunConfig("src", "train.py").normalized().max_run_duration_seconds == 30 * 24 * 3600


@pytest.mark.parametrize("arguments", [["--lr", 0.1, "a b"], "--lr 0.1 'a b'"])
def test_arguments_are_words(arguments: object) -> None:
    assert ScriptRunConfig("src", "train.py", arguments).normalized().arguments == ["--lr", "0.1", "a b"]


def test_a_command_of_words_stays_words_and_a_text_goes_to_a_shell() -> None:
    assert ScriptRunConfig("src", command=["python", "a b"]).normalized().command == ["python", "a b"]
    assert ScriptRunConfig("src", command="python a | tee b").normalized().command == "python a | tee b"


@pytest.mark.parametrize("command", [[], ["", "a"], [" "], "", "  "])
def test_a_command_names_a_program(command: object) -> None:
    with pytest.raises(
        DefinitionError, match=r"command.*but must be a (command|program); write a program and"
    ):
        ScriptRunConfig(".", command=command)  # type: ignore[arg-type]


def test_what_environments_of_the_original_also_have_is_named_and_has_no_effect() -> None:
    said = {"version": 3, "spark": {}, "databricks": {}, "r": {}, "inferencing_stack_version": "latest"}
    with pytest.warns(UserWarning, match="has no effect") as warned:
        made = Environment.from_dict({"name": "e", **said})
    assert [str(one.message).split(" has no effect")[0] for one in warned] == [
        f"Environment: {name}" for name in said
    ]
    assert made == Environment("e")


def test_the_prefix_of_a_conda_file_is_named_and_has_no_effect(write: Callable[..., Path]) -> None:
    with pytest.warns(UserWarning, match=r"conda\.yml:1: prefix has no effect"):
        Environment.from_conda_specification(
            "e", write("prefix: /opt/e\ndependencies: [numpy]\n", "conda.yml")
        )


def test_nodes_and_processes_come_from_the_distribution() -> None:
    job = ScriptRunConfig("src", "t.py", distributed_job_config=MpiConfiguration(2, 3)).normalized()
    assert (job.node_count, job.process_count_per_node) == (3, 2)
    job = ScriptRunConfig("src", "t.py", distributed_job_config=PyTorchConfiguration("gloo", 4)).normalized()
    assert (job.node_count, job.process_count_per_node) == (1, 4)


def test_a_container_is_asked_for_by_the_docker_configuration() -> None:
    docker = DockerConfiguration(use_docker=True, arguments="--network host", shm_size="2g")
    job = ScriptRunConfig("src", "t.py", docker_runtime_config=docker).normalized()
    assert job.environment == {"use_docker": True, "docker_arguments": ["--network", "host"]}
    assert job.shm_size == "2g"
    assert (
        not ScriptRunConfig("src", "t.py", docker_runtime_config=DockerConfiguration())
        .normalized()
        .environment
    )


def test_requirements_are_read_when_the_environment_is_made(write: Callable[..., Path]) -> None:
    file = write("numpy==2.1  # why\n# nothing\nscipy\n", "requirements.txt")
    made = Environment.from_pip_requirements("e", file)
    assert made.python.pip_packages == ["numpy==2.1", "scipy"]


def test_a_requirements_file_that_names_another_is_refused_with_its_line(write: Callable[..., Path]) -> None:
    file = write("numpy\n-r more.txt\n", "requirements.txt")
    with pytest.raises(DefinitionError, match=r"requirements\.txt:2: -r more\.txt"):
        Environment.from_pip_requirements("e", file)


def test_a_conda_file_gives_packages_of_both_kinds(write: Callable[..., Path]) -> None:
    file = write("channels: [conda-forge]\ndependencies:\n- python=3.10\n- pip:\n  - torch\n", "conda.yml")
    environment = Environment.from_conda_specification("e", file)
    assert ScriptRunConfig("src", "t.py", environment=environment).normalized().environment == {
        "name": "e",
        "pip_packages": ["torch"],
        "conda_packages": ["python=3.10"],
        "conda_channels": ["conda-forge"],
    }


def test_a_conda_file_with_an_unknown_key_is_refused_with_its_line(write: Callable[..., Path]) -> None:
    file = write("channels: [a]\ndependancies: [python]\n", "conda.yml")
    with pytest.raises(DefinitionError, match=r"conda\.yml:2: dependancies .* did you mean dependencies\?"):
        Environment.from_conda_specification("e", file)


def test_setting_an_image_replaces_a_dockerfile_with_a_warning() -> None:
    environment = Environment.from_dockerfile("e", "FROM python:3.12\nRUN true\n")
    with pytest.warns(UserWarning, match="base_image replaces base_dockerfile"):
        environment.docker.base_image = "python:3.13"
    assert environment.docker.base_dockerfile is None


def test_a_clone_leaves_its_original_as_it_is() -> None:
    first = Environment("first", environment_variables={"A": "1"})
    second = first.clone("second")
    second.environment_variables = {"A": "2"}
    assert (first.name, first.environment_variables) == ("first", {"A": "1"})
    assert second.name == "second"


def test_a_registered_environment_is_not_changed_in_passing() -> None:
    src = ScriptRunConfig("src", "t.py", environment="digits:3")
    with pytest.raises(DefinitionError, match=r"environment is digits:3, .*Environment\.get\('digits'\)"):
        src.run_config.environment_variables["A"] = "1"


@pytest.mark.parametrize("name", ["AzureML-Minimal", "microsoft-x"])
def test_names_of_curated_environments_are_reserved(name: str) -> None:
    with pytest.raises(DefinitionError, match="reserved"):
        Environment(name)


def test_what_notebooks_set_in_the_run_config_of_a_script_run_is_set_in_the_script_run() -> None:
    source = ScriptRunConfig("src", "train.py")
    source.run_config.target = "cluster"
    source.run_config.environment = Environment("mine")
    source.run_config.environment.python.user_managed_dependencies = True
    source.run_config.environment_variables["A"] = "1"
    source.run_config.max_run_duration_seconds = 60
    said = ScriptRunConfig(
        "src",
        "train.py",
        compute_target="cluster",
        environment=Environment(
            "mine", python={"user_managed_dependencies": True}, environment_variables={"A": "1"}
        ),
        max_run_duration_seconds=60,
    )
    assert source == said == deepcopy(source) == pickle.loads(pickle.dumps(source))
    assert source.normalized() == said.normalized()


def test_an_unread_run_config_says_nothing() -> None:
    source = ScriptRunConfig("src", "train.py")
    assert (source.run_config.target, source.run_config.script) == ("local", "train.py")
    assert source.to_dict() == {"type": "ScriptRunConfig", "source_directory": "src", "script": "train.py"}


@pytest.mark.parametrize("name", ["node_count", "communicator", "mpi", "history"])
def test_what_a_script_run_says_otherwise_is_named_with_the_mend(name: str) -> None:
    source = ScriptRunConfig("src", "train.py")
    with pytest.raises(DefinitionError, match=f"run_config.{name} .*; write .*RunConfiguration"):
        setattr(source.run_config, name, 2)
    with pytest.raises(DefinitionError, match="made without one; write run_config=RunConfiguration"):
        ScriptRunConfig("src", "train.py", run_config=source.run_config)
