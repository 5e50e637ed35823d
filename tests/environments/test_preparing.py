"""What an environment stands for is read once, when a run is submitted, and the job says it from then on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from airflow_train import DockerBuildContext, Environment, Estimator, ScriptRunConfig, SKLearn
from airflow_train.environments import registry
from airflow_train.environments.preparing import Prepared, prepare
from airflow_train.environments.recipe import recipe_of
from airflow_train.exceptions import DefinitionError
from airflow_train.store import contexts, snapshots
from airflow_train.store.files import Files

Write = Callable[..., Path]


@pytest.fixture
def prepared(tmp_path: Path, files: Files) -> Callable[..., Prepared]:
    """`prepared(definition)` in the test's folder."""

    def made(definition: Any) -> Prepared:
        return prepare(asdict(definition.normalized()), tmp_path, tmp_path, files)

    return made


def config(environment: Any) -> ScriptRunConfig:
    return ScriptRunConfig(".", "train.py", environment=environment)


def with_context(folder: str = "docker", **said: Any) -> ScriptRunConfig:
    return config(Environment.from_docker_build_context("e", DockerBuildContext(folder, **said)))


def test_a_requirements_file_becomes_its_lines_with_those_that_it_includes(
    write: Write, prepared: Callable[..., Prepared]
) -> None:
    write("--extra-index-url https://h/simple\na==1, \\\n  !=1.1\n-r more/b.txt\n", "r.txt")
    write("b  # why\n-r 'c d.txt'\n", "more/b.txt")
    write("c[x]>=2,<3; python_version < '4'\n", "more/c d.txt")
    job = prepared(Estimator(".", entry_script="t.py", pip_packages=["z"], pip_requirements_file="r.txt")).job
    assert job["environment"] == {
        "pip_packages": [
            "z",
            "--extra-index-url https://h/simple",
            "a==1, !=1.1",
            "b",
            "c[x]>=2,<3; python_version < '4'",
        ]
    }


@pytest.mark.parametrize("cls", [Estimator, SKLearn])
def test_hashes_are_for_all_packages_or_for_none(
    cls: Any, write: Write, prepared: Callable[..., Prepared]
) -> None:
    hashes = "".join(f" \\\n    --hash=sha256:{digit * 64}" for digit in "12")
    write(f"a==1{hashes}\nb==2{hashes}\n", "r.txt")
    definition = cls(".", entry_script="t.py", pip_requirements_file="r.txt")
    if cls is Estimator:
        lines = prepared(definition).job["environment"]["pip_packages"]
        assert [line.count("--hash=sha256:") for line in lines] == [2, 2]
    else:  # its own packages come with none
        with pytest.raises(DefinitionError, match="scikit-learn has no --hash, but other packages have"):
            prepared(definition)
    write("c\n", "c.txt")
    write(f"a==1{hashes}\n-r c.txt\n", "r.txt")
    with pytest.raises(DefinitionError, match=r"c has no --hash, .* all of them .* or to none"):
        prepared(definition)


def test_a_conda_file_becomes_its_packages(write: Write, prepared: Callable[..., Prepared]) -> None:
    write("channels: [conda-forge]\ndependencies: [cmake, {pip: [a, -r r.txt]}]\n", "conda/c.yml")
    write("b\n", "conda/r.txt")
    job = prepared(Estimator(".", entry_script="t.py", conda_dependencies_file="conda/c.yml")).job
    assert job["environment"] == {
        "conda_packages": ["cmake"],
        "conda_channels": ["conda-forge"],
        "pip_packages": ["a", "b"],
    }


def test_an_empty_conda_file_is_told_how_one_begins(write: Write, prepared: Callable[..., Prepared]) -> None:
    write("", "c.yml")
    with pytest.raises(DefinitionError, match=r"c.yml:1: the file is empty; begin it with dependencies:"):
        prepared(Estimator(".", entry_script="t.py", conda_dependencies_file="c.yml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-r r.txt", "leads back to a file"),
        ("-r https://h/r.txt", "is on the network"),
        ("-r gone.txt", "names no file"),
        ("-c limits.txt", "limits into the lines"),
        ("./a.whl", "a file of this machine"),
        ("a ==", "is no package"),
        ("--index-url https://me:hunter2@h/", "(not shown) holds the login"),
        ("a==1 --hash=md5:11", "a hash that is none"),
    ],
)
def test_what_can_not_be_honoured_everywhere_is_one_sentence_with_its_line(
    text: str, said: str, write: Write, prepared: Callable[..., Prepared]
) -> None:
    file = write(f"# first\n{text}\nfine\n", "r.txt")
    with pytest.raises(DefinitionError) as caught:
        prepared(Estimator(".", entry_script="t.py", pip_requirements_file="r.txt"))
    (sentence,) = caught.value.problems
    assert sentence.startswith(f"{file}:2: ")
    assert said in sentence
    assert "hunter2" not in sentence


def test_a_build_context_is_named_by_its_content_without_what_docker_leaves_behind(
    write: Write, prepared: Callable[..., Prepared], files: Files
) -> None:
    write("FROM a\nCOPY . .\n", "docker/Dockerfile")
    write("data\n", "docker/.dockerignore")
    write("*.py\n", "docker/.gitignore")
    write("kept", "docker/x.py")
    write("one", "docker/data")
    first = prepared(with_context())
    write("two", "docker/data")
    assert prepared(with_context()).job == first.job
    write("changed", "docker/x.py")
    assert prepared(with_context()).job != first.job

    recipe = recipe_of(first.job)
    assert recipe is not None
    assert recipe.dockerfile == "FROM a\nCOPY . .\n"
    assert not files.exists("snapshots")

    kept = prepared(with_context()).kept(files)["environment"]["context"]
    paths = {entry[0] for entry in snapshots.read_manifest(files, kept)}
    assert paths == {".dockerignore", ".gitignore", "Dockerfile", "x.py"}


def test_what_a_context_holds_by_the_time_it_is_kept_is_what_counts(
    write: Write, prepared: Callable[..., Prepared], files: Files
) -> None:
    write("FROM a\n", "docker/Dockerfile")
    made = prepared(with_context())
    write("late", "docker/file")
    assert made.kept(files)["environment"]["context"] != made.job["environment"]["context"]


def test_a_dockerfile_travels_whatever_is_left_behind(
    write: Write, prepared: Callable[..., Prepared], files: Files
) -> None:
    write("FROM a\n", "docker/build/Dockerfile")
    write("build\nfile\n.dockerignore\n", "docker/.dockerignore")
    write("", "docker/build/file")
    made = prepared(with_context(dockerfile_path="build/Dockerfile"))
    kept = made.kept(files)["environment"]
    assert kept["context"] == made.job["environment"]["context"]
    assert contexts.read_text(files, kept["context"], "build/Dockerfile") == "FROM a\n"
    paths = [entry[0] for entry in snapshots.read_manifest(files, kept["context"])]
    assert paths == ["build", "build/Dockerfile"]


def test_a_dockerfile_of_its_own_has_ignore_rules_of_its_own(
    write: Write, prepared: Callable[..., Prepared], files: Files
) -> None:
    write("FROM a\n", "docker/build/gpu.Dockerfile")
    write("build\n", "docker/build/gpu.Dockerfile.dockerignore")
    write("x.py\n", "docker/.dockerignore")
    write("kept", "docker/x.py")
    made = prepared(with_context(dockerfile_path="build/gpu.Dockerfile")).kept(files)["environment"]
    paths = [entry[0] for entry in snapshots.read_manifest(files, made["context"])]
    assert sorted(paths) == [".dockerignore", "build", "build/gpu.Dockerfile", "x.py"]


def test_a_context_that_is_not_there_is_one_sentence(
    write: Write, prepared: Callable[..., Prepared], tmp_path: Path
) -> None:
    with pytest.raises(DefinitionError, match=r"build_context.location is 'docker' but there is no folder"):
        prepared(with_context())
    write("", "docker/x")
    with pytest.raises(DefinitionError, match=r"docker/Dockerfile: there is no such file"):
        prepared(with_context())


def test_a_registered_environment_stands_for_what_it_says(
    prepared: Callable[..., Prepared], files: Files
) -> None:
    environment = Environment(
        "e", python={"pip_packages": ["a"]}, docker={"shm_size": "1g"}, environment_variables={"A": "1"}
    )
    registry.register(files, environment)
    written, named = prepared(config(environment)).job, prepared(config("e")).job
    assert named == {**written, "environment": {**written["environment"], "name": "e:1"}}
    assert prepared(Estimator(".", entry_script="t.py", environment_definition="e:1")).job["shm_size"] == "1g"


def test_a_registered_context_needs_its_folder_no_more(
    write: Write, prepared: Callable[..., Prepared], files: Files, tmp_path: Path
) -> None:
    file = write("FROM a\n", "docker/Dockerfile")
    context = DockerBuildContext(tmp_path / "docker")
    registry.register(files, Environment.from_docker_build_context("e", context))
    expected = recipe_of(prepared(with_context()).job)
    file.unlink()
    made = prepared(config("e"))
    assert made.context is None
    assert recipe_of(made.job) == expected
    assert contexts.read_text(files, made.job["environment"]["context"], "Dockerfile") == "FROM a\n"


def test_a_name_that_nobody_registered_is_one_sentence(
    prepared: Callable[..., Prepared], files: Files
) -> None:
    with pytest.raises(
        DefinitionError,
        match=r"no environment digits in .*; none is registered; `airflow-train environments register",
    ):
        prepared(config("digits"))
    registry.register(files, Environment("digits"))
    with pytest.raises(DefinitionError, match=r"no environment digit in .*; did you mean digits\?"):
        prepared(config("digit"))
    with pytest.raises(DefinitionError, match=r"no version 7 of environment digits in .*; it has 1\."):
        prepared(config("digits:7"))
