"""What is built for a job, and when two jobs share it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from airflow_train import Environment, Estimator, ScriptRunConfig
from airflow_train.environments.recipe import Recipe, public_image, recipe_of
from airflow_train.exceptions import DefinitionError


def job(**said: Any) -> dict[str, Any]:
    return asdict(Estimator("src", entry_script="train.py", **said).normalized())


def of(default_image: str | None = None, **said: Any) -> Recipe | None:
    return recipe_of(job(**said), default_image)


@pytest.mark.parametrize(
    "said", [{}, {"custom_docker_image": "mine:1"}, {"user_managed": True}, {"shm_size": "1g"}], ids=str
)
def test_nothing_is_built_where_nobody_asks_for_packages(said: dict[str, Any]) -> None:
    assert of(**said) is None


def test_packages_are_built_in_the_order_and_words_of_their_author() -> None:
    assert of(pip_packages=["b >= 1", "a"]) == Recipe(pip=("b >= 1", "a"))


def test_an_image_that_packages_go_into_is_the_author_s_else_the_default() -> None:
    wanted = {"pip_packages": ["a"]}
    registry = {"address": "registry.example"}

    assert of("default:1", **wanted) == Recipe(pip=("a",), base_image="default:1")
    assert of("default:1", custom_docker_image="mine:1", **wanted) == Recipe(pip=("a",), base_image="mine:1")
    assert of(custom_docker_image="mine:1", image_registry_details=registry, **wanted) == Recipe(
        pip=("a",), base_image="registry.example/mine:1"
    )


def test_a_dockerfile_is_built_even_where_the_user_manages_packages() -> None:
    environment = Environment.from_dockerfile("e", "FROM a\n")
    config = ScriptRunConfig("src", script="train.py", environment=environment)

    assert recipe_of(asdict(config.normalized()), "default:1") == Recipe(dockerfile="FROM a\n")


@pytest.mark.parametrize(
    "python", ["python=3.11", "python==3.11", "python = 3.11", "python=3.11.*", "python 3.11"]
)
def test_a_version_of_python_needs_no_conda(python: str) -> None:
    assert of(conda_packages=[python, "pip"], pip_packages=["a"]) == Recipe(python="3.11", pip=("a",))


@pytest.mark.parametrize("python", ["2", "2.7", "3.6", "3.7.16"])
def test_a_python_that_runs_cannot_have_is_refused_before_it_is_built(python: str) -> None:
    with pytest.raises(DefinitionError, match=rf"Python {python} is wanted, .* 3\.8 or later; ask for"):
        of(conda_packages=[f"python={python}"])


@pytest.mark.parametrize("python", ["3", "3.8", "3.8.1", "3.10"])
def test_any_other_python_is_asked_for(python: str) -> None:
    assert of(conda_packages=[f"python={python}"]) == Recipe(python=python)


def test_a_pinned_pip_is_installed_by_pip_where_nothing_else_needs_conda() -> None:
    assert of(conda_packages=["pip==24.0"], pip_packages=["a"]) == Recipe(pip=("pip==24.0", "a"))


@pytest.mark.parametrize(
    ("packages", "python", "left"),
    [
        (["python=3.11", "numpy"], "3.11", ("numpy",)),
        (["python=3.11", "pip", "numpy"], "3.11", ("pip", "numpy")),
        (["python>=3.8"], None, ("python>=3.8",)),
        (["python=3.11", "python=3.12"], None, ("python=3.11", "python=3.12")),
        (["pip=24"], None, ("pip=24",)),
    ],
    ids=str,
)
def test_other_packages_of_conda_stay_with_conda(
    packages: list[str], python: str | None, left: tuple[str, ...]
) -> None:
    assert of(conda_packages=packages) == Recipe(python=python, conda=left)


def test_the_name_of_an_environment_and_its_login_are_not_in_the_key() -> None:
    def key(name: str, registry: dict[str, str]) -> str:
        docker = {"base_image": "mine:1", "base_image_registry": registry}
        environment = Environment(name, docker=docker, python={"pip_packages": ["a"]})
        found = recipe_of(asdict(ScriptRunConfig("src", script="t.py", environment=environment).normalized()))
        assert found is not None
        return found.key

    login = {"address": "r.example", "username": "me", "password": "env:WORD"}
    assert key("one", {"address": "r.example"}) == key("two", login)


def test_every_field_changes_the_key() -> None:
    changed = [
        Recipe(python="1"),
        Recipe(pip=("1",)),
        Recipe(conda=("1",)),
        Recipe(conda_channels=("1",)),
        Recipe(apt=("1",)),
        Recipe(base_image="1"),
        Recipe(dockerfile="1"),
        Recipe(context="1"),
        Recipe(platform="1"),
        Recipe(pip=("1", "2")),
        Recipe(pip=("2", "1")),
    ]
    assert len(asdict(Recipe())) == 9
    assert len({one.key for one in [Recipe(), *changed]}) == len(changed) + 1


def test_a_key_stays_what_it_is() -> None:
    recipe = Recipe(
        python="3.11", pip=("numpy==2.1.0", "-i https://pypi.example"), base_image="python:3.11-slim"
    )

    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.key == "ac2470cb5307b5a6"


def test_the_public_image_is_that_of_the_wanted_python() -> None:
    assert public_image("3.9") == "python:3.9-slim"
    assert public_image(None) == "python:3.12-slim"
