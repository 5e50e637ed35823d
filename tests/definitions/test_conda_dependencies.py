"""`CondaDependencies` changes like the original's, begins empty, and is a conda file's data wherever it is used."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from airflow_train.definitions import CondaDependencies, Environment, Estimator
from airflow_train.definitions.environment import PythonSection
from airflow_train.exceptions import DefinitionError

INDEX = "https://packages.example.com/index"


def test_it_begins_empty_and_takes_what_is_listed() -> None:
    assert CondaDependencies() == {}
    made = CondaDependencies.create(
        pip_packages=["scikit-learn==1.5"], conda_packages=["numpy=2"], python_version="3.12"
    )
    assert made == {"dependencies": ["python=3.12", "numpy=2", {"pip": ["scikit-learn==1.5"]}]}
    assert list(made.conda_packages) == ["python=3.12", "numpy=2"]
    assert list(made.pip_packages) == ["scikit-learn==1.5"]
    assert made.get_python_version() == "3.12"


def test_of_a_pip_package_the_last_version_counts() -> None:
    made = CondaDependencies.create(pip_packages=["Scikit_Learn[all]>=1", "torch @ https://h/torch.whl"])
    made.add_pip_package("scikit-learn==1.5")
    assert list(made.pip_packages) == ["torch @ https://h/torch.whl", "scikit-learn==1.5"]
    made.remove_pip_package("torch")
    made.remove_pip_package("unknown")
    assert list(made.pip_packages) == ["scikit-learn==1.5"]


def test_a_conda_package_is_removed_as_written_or_by_name() -> None:
    made = CondaDependencies.create(conda_packages=["numpy=2", "conda-forge::cmake>=3", "zlib"])
    made.remove_conda_package("numpy=2")
    made.remove_conda_package("cmake")
    assert list(made.conda_packages) == ["zlib"]


def test_there_is_one_python_and_it_stays() -> None:
    made = CondaDependencies.create(conda_packages=["zlib", "python=3.11", "python-dateutil"])
    made.set_python_version("3.12")
    assert list(made.conda_packages) == ["python=3.12", "zlib", "python-dateutil"]
    with pytest.raises(DefinitionError, match=r"python can't be removed; .*set_python_version"):
        made.remove_conda_package("python=3.12")


def test_options_of_pip_stand_apart_from_packages() -> None:
    made = CondaDependencies.create(INDEX, ["numpy"])
    made.set_pip_option("--index-url https://other.example.com")
    assert list(made.pip_options) == ["--index-url https://other.example.com"]
    assert list(made.pip_packages) == ["numpy"]
    made.remove_pip_option("--index-url")
    made.set_pip_requirements(["scipy"])
    assert made == {"dependencies": [{"pip": ["scipy"]}]}


def test_channels_are_kept_in_order_and_once() -> None:
    made = CondaDependencies()
    for channel in ("conda-forge", "nvidia", "conda-forge"):
        made.add_channel(channel)
    made.remove_channel("nvidia")
    assert list(made.conda_channels) == ["conda-forge"]


def test_a_file_reads_back_equal(tmp_path: Path) -> None:
    made = CondaDependencies.create(pip_packages=["numpy"], conda_packages=["zlib"])
    made.add_channel("conda-forge")
    path = made.save(tmp_path / "conda.yml")
    assert CondaDependencies(path) == made == CondaDependencies.from_checked(made.as_dict())
    (tmp_path / ".azureml").mkdir()
    assert made.save_to_file(tmp_path) == ".azureml/auto_conda_dependencies.yml"
    assert CondaDependencies(tmp_path / ".azureml/auto_conda_dependencies.yml") == made


def test_an_environment_holds_it_and_it_can_be_changed_there() -> None:
    environment = Environment("e")
    environment.python.conda_dependencies.add_pip_package("numpy")
    made = CondaDependencies.create(conda_packages=["zlib"])
    other = Environment("f", python=PythonSection(conda_dependencies=made))
    made.add_channel("conda-forge")
    assert environment.to_dict()["python"] == {"conda_dependencies": {"dependencies": [{"pip": ["numpy"]}]}}
    job = Estimator("src", entry_script="a.py", environment_definition=other).normalized()
    assert job.environment == {"name": "f", "conda_packages": ["zlib"], "conda_channels": ["conda-forge"]}
    clone = other.clone("g")
    clone.python.conda_dependencies.add_channel("nvidia")
    assert list(made.conda_channels) == ["conda-forge"]
    assert deepcopy(other) == pickle.loads(pickle.dumps(other)) == other


def test_an_environment_without_packages_says_nothing_of_them() -> None:
    assert Environment("e").to_dict() == {"type": "Environment", "name": "e"}


WRONG: dict[str, tuple[Any, str]] = {
    "number as package": (lambda one: one.add_conda_package(3), "conda_package is 3 but must be text"),
    "option as package": (lambda one: one.add_pip_package("-r a.txt"), "an option; add it by set_pip_option"),
    "package as option": (lambda one: one.set_pip_option("numpy"), "must begin with a dash"),
    "empty package": (lambda one: one.add_pip_package(" "), "pip_package is ' ' but must be text"),
    "word as version": (lambda one: one.set_python_version("new"), "version is 'new' but must be a version"),
    "text as list": (
        lambda one: one.create(pip_packages="numpy"),
        "pip_packages is 'numpy' but must be a list",
    ),
    "NUL": (lambda one: one.add_channel("a\0b"), "NUL"),
    "folder as file": (lambda one: one.save("/"), "path is '/', which can't be written"),
    "no such folder": (lambda one: one.save("/nowhere/conda.yml"), "name a file in a folder that is there"),
    "no such file": (
        lambda one: type(one)("/nowhere/conda.yml"),
        "/nowhere/conda.yml: there is no such file",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_sentence_and_changes_nothing(name: str) -> None:
    act, words = WRONG[name]
    made = CondaDependencies()
    with pytest.raises(DefinitionError) as caught:
        act(made)
    assert len(caught.value.problems) == 1
    assert words in str(caught.value)
    assert made == {}


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(DefinitionError, match="an address with a password") as caught:
        CondaDependencies.create(INDEX.replace("//", "//me:hunter2@"))
    assert "hunter2" not in str(caught.value)
