"""`Environment`: where an image comes from, the files that one is kept in."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from airflow_train.definitions import CondaDependencies, DockerBuildContext, Environment, ScriptRunConfig
from airflow_train.exceptions import DefinitionError


def test_an_image_comes_from_one_thing_and_setting_one_resets_the_others() -> None:
    environment = Environment.from_docker_image("e", "python:3.12")
    with pytest.warns(UserWarning, match="build_context replaces base_image"):
        environment.docker.build_context = DockerBuildContext("docker")
    with pytest.warns(UserWarning, match="base_dockerfile replaces build_context"):
        environment.docker.base_dockerfile = "FROM a\n"
    assert environment == Environment.from_dockerfile("e", "FROM a\n")


def test_a_build_context_is_a_folder_with_its_dockerfile() -> None:
    context = DockerBuildContext.from_local_directory(Path("docker"), "gpu.Dockerfile")
    environment = Environment.from_docker_build_context("e", context)
    assert ScriptRunConfig("src", "t.py", environment=environment).normalized().environment == {
        "name": "e",
        "build_context": {"location": "docker", "dockerfile_path": "gpu.Dockerfile"},
    }


def test_a_registered_environment_is_named_by_text_and_looked_up_later() -> None:
    made = ScriptRunConfig("src", "t.py", environment="digits:3")
    assert made.to_dict()["environment"] == "digits:3"
    assert made.normalized().environment == {"registered": "digits:3"}
    assert ScriptRunConfig.from_dict(made.to_dict()) == made


@pytest.mark.parametrize(
    "docker",
    [{"base_dockerfile": "FROM a\nRUN b\n"}, {"build_context": {"location": "d"}}, {"apt_packages": ["git"]}],
    ids=str,
)
def test_a_folder_of_files_reads_back_equal(docker: dict[str, Any], tmp_path: Path) -> None:
    conda = CondaDependencies.create(pip_packages=["a"], python_version="3.11")
    made = Environment(
        "e",
        python={"conda_dependencies": conda},
        docker={**docker, "platform": "linux/arm64"},
        environment_variables={"a_b": "1"},
    )
    made.save_to_directory(tmp_path / "kept")
    assert Environment.load_from_directory(tmp_path / "kept") == made
    assert CondaDependencies(tmp_path / "kept" / "conda_dependencies.yml") == conda
    with pytest.raises(DefinitionError, match=r"is there already; .* overwrite=True"):
        made.save_to_directory(tmp_path / "kept")
    plain = Environment("plain")
    plain.save_to_directory(tmp_path / "kept", overwrite=True)
    assert Environment.load_from_directory(tmp_path / "kept") == plain


def test_a_folder_that_azure_ml_has_written_is_read(tmp_path: Path) -> None:
    written = {
        "assetId": "azureml://x",
        "databricks": {"eggLibraries": [], "jarLibraries": [], "mavenLibraries": []},
        "docker": {
            "arguments": [],
            "baseImage": "python:3.11",
            "baseImageRegistry": {"address": None, "password": None, "username": None},
            "platform": {"architecture": "amd64", "os": "Linux"},
            "sharedVolumes": True,
            "shmSize": None,
        },
        "environmentVariables": {"KEPT_AS_IT_IS": "1"},
        "inferencingStackVersion": None,
        "name": "e",
        "python": {
            "baseCondaEnvironment": None,
            "interpreterPath": "python",
            "userManagedDependencies": False,
        },
        "r": None,
        "version": "3",
    }
    (tmp_path / "azureml_environment.json").write_text(json.dumps(written))
    (tmp_path / "conda_dependencies.yml").write_text("dependencies: [python=3.11, {pip: [a]}]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        read = Environment.load_from_directory(tmp_path)
    assert read.docker.base_image == "python:3.11"
    assert read.environment_variables == {"KEPT_AS_IT_IS": "1"}
    assert list(read.python.conda_dependencies.pip_packages) == ["a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ('{"nam": "e"}', "did you mean name"),
        (None, "no such file"),
    ],
)
def test_a_folder_that_holds_no_environment_is_one_sentence(
    text: str | None, said: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "azureml_environment.json").write_text(text)
    with pytest.raises(DefinitionError, match=said) as caught:
        Environment.load_from_directory(tmp_path)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("wrong", [None, 5, b"a", ["a"], ""])
@pytest.mark.parametrize(
    "make",
    [
        Environment.from_pip_requirements,
        Environment.from_conda_specification,
        Environment.from_dockerfile,
        Environment.from_docker_image,
        Environment.from_docker_build_context,
    ],
)
def test_what_an_environment_is_made_of_must_be_given(make: Any, wrong: Any) -> None:
    with pytest.raises(DefinitionError, match="but must be"):
        make("e", wrong)
