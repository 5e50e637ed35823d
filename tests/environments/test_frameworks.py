"""What is installed for a framework, and when its user's packages win."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from airflow_train import Chainer, Environment, Estimator, PyTorch, SKLearn, TensorFlow
from airflow_train.definitions.frameworks import FRAMEWORKS
from airflow_train.environments.frameworks import PACKAGES
from airflow_train.environments.preparing import prepare
from airflow_train.environments.recipe import Recipe, overridden, recipe_of
from airflow_train.exceptions import DefinitionError
from airflow_train.store.files import Files


def job(cls: Any, **said: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return asdict(cls("src", entry_script="train.py", **said).normalized())


def of(cls: Any, **said: Any) -> Recipe | None:
    return recipe_of(job(cls, **said))


def test_a_framework_alone_builds_nothing() -> None:
    assert of(PyTorch) is None
    assert of(SKLearn, custom_docker_image="mine:1") is None


def test_a_version_asks_for_the_framework_and_what_goes_with_it() -> None:
    assert of(PyTorch, framework_version="2.6") == Recipe(
        pip=("torch==2.6.*", "torchvision==0.21.*", "tensorboard")
    )
    assert of(SKLearn, framework_version="1.5.2") == Recipe(pip=("scikit-learn==1.5.2", "scipy", "joblib"))


@pytest.mark.parametrize(
    ("version", "line"),
    [("2", "torch==2.*"), ("2.6", "torch==2.6.*"), ("2.6.0", "torch==2.6.0"), ("2.6rc1", "torch==2.6rc1"),
     ("2.6.0+cpu", "torch==2.6.0+cpu")],
)  # fmt: skip
def test_a_version_is_a_series_or_one_release(version: str, line: str) -> None:
    recipe = of(PyTorch, framework_version=version)
    assert recipe is not None
    assert (recipe.pip[0], recipe.python) == (line, None)


def test_what_goes_with_a_version_that_nobody_knows_yet_is_left_to_pip() -> None:
    assert of(PyTorch, framework_version="3.0") == Recipe(pip=("torch==3.0.*", "torchvision", "tensorboard"))


def test_what_is_no_version_is_one_sentence() -> None:
    with pytest.raises(
        DefinitionError, match="framework_version of PyTorch is 'latest', which is no version"
    ):
        of(PyTorch, framework_version="latest")


def test_packages_are_merged_with_those_of_the_framework_behind_them() -> None:
    assert of(TensorFlow, pip_packages=["pandas"]) == Recipe(pip=("pandas", "tensorflow"))
    assert of(Estimator, pip_packages=["pandas"]) == Recipe(pip=("pandas",))


@pytest.mark.parametrize(
    ("cls", "version", "python"),
    [
        (PyTorch, "1.4", "3.8"),
        (PyTorch, "1.13", "3.10"),
        (TensorFlow, "2.15", "3.11"),
        (Chainer, "7.0.0", "3.8"),
    ],
)
def test_an_old_version_brings_the_newest_python_with_wheels(cls: Any, version: str, python: str) -> None:
    recipe = of(cls, framework_version=version)
    assert recipe is not None
    assert recipe.python == python


def test_the_author_s_python_wins() -> None:
    recipe = of(PyTorch, framework_version="1.13", conda_packages=["python=3.9"])
    assert recipe is not None
    assert recipe.python == "3.9"


@pytest.mark.parametrize("package", ["Torch==2.5.1", "torch", "torch @ https://h/torch.whl"])
def test_the_author_s_version_wins_and_frees_what_goes_with_it(package: str) -> None:
    said = {"framework_version": "1.13", "pip_packages": [package]}
    assert of(PyTorch, **said) == Recipe(pip=(package, "torchvision", "tensorboard", "numpy<2"))
    assert overridden(job(PyTorch, **said)) == ("torch",)


def test_the_same_package_under_another_name_or_by_conda_wins_too() -> None:
    assert of(TensorFlow, pip_packages=["tensorflow-cpu==2.16.1"]) == Recipe(pip=("tensorflow-cpu==2.16.1",))
    recipe = of(PyTorch, conda_packages=["pytorch::pytorch=2.5"])
    assert recipe == Recipe(conda=("pytorch::pytorch=2.5",), pip=("torchvision", "tensorboard"))


def test_who_overrides_a_package_is_warned_with_its_name(tmp_path: Path) -> None:
    said = job(PyTorch, framework_version="2.2", pip_packages=["numpy==1.25", "pandas"])
    with pytest.warns(UserWarning, match=r"^numpy is installed as the definition says .* PyTorch"):
        prepare(said, tmp_path, tmp_path, Files.open(tmp_path / "store"))


def test_mpi_brings_what_chainer_needs_for_it() -> None:
    recipe = of(Chainer, framework_version="7.8.1", distributed_training="mpi", node_count=2)
    assert recipe is not None
    assert recipe.pip[-1] == "mpi4py"


@pytest.mark.parametrize(
    ("cls", "version"), [(PyTorch, "1.3"), (TensorFlow, "1.13"), (TensorFlow, "2.1"), (SKLearn, "0.20.3")]
)
def test_a_version_without_wheels_for_a_python_that_runs_is_one_sentence(cls: Any, version: str) -> None:
    with pytest.raises(
        DefinitionError, match=rf"framework_version {version} of .* has no wheels .* or later"
    ):
        of(cls, framework_version=version)


@pytest.mark.parametrize(
    "whole",
    [{"environment_definition": Environment("e", python={"pip_packages": ["a"]})}, {"user_managed": True}],
    ids=["environment", "user managed"],
)
def test_nothing_is_added_where_the_environment_says_everything(whole: dict[str, Any]) -> None:
    recipe = of(PyTorch, framework_version="2.6", **whole)
    assert recipe in (None, Recipe(pip=("a",)))


def test_nothing_is_added_to_a_conda_file_and_who_has_one_is_warned(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    write("dependencies: [python=3.11, {pip: [a]}]", "conda.yml")
    with pytest.warns(
        UserWarning, match="conda_dependencies_file is given, so no package of PyTorch is added"
    ):
        made = PyTorch(".", entry_script="t.py", framework_version="2.6", conda_dependencies_file="conda.yml")
    prepared = prepare(asdict(made.normalized()), tmp_path, tmp_path, Files.open(tmp_path / "store"))
    assert recipe_of(prepared.job) == Recipe(python="3.11", pip=("a",))


def test_every_version_that_azure_ml_installs_is_known_or_refused() -> None:
    refused = {"PyTorch": "1.3", "TensorFlow": "2.1", "Chainer": "0", "scikit-learn": "0.20.3"}
    for cls in (PyTorch, TensorFlow, Chainer, SKLearn):
        for version in FRAMEWORKS[cls.NAME].versions:
            numbers = [int(part) for part in version.split(".")]
            if numbers <= [int(part) for part in refused[cls.NAME].split(".")]:
                continue
            assert of(cls, framework_version=version) is not None
    assert {cls.FRAMEWORK for cls in (PyTorch, TensorFlow, Chainer, SKLearn)} == set(PACKAGES)
