"""Compute targets by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_train.definitions import named_targets, resolve_compute_target
from airflow_train.exceptions import ConfigurationError, DefinitionError

FILE = """
big:
  type: kubernetes
  namespace: training
  nodes: 3
py38: {type: local, interpreter_path: /usr/bin/python3.8}
"""


@pytest.fixture
def targets(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes a file of targets and configures it."""

    def written(text: str) -> Path:
        path = write(text, "targets.yaml")
        monkeypatch.setenv("AIRFLOW__TRAIN__TARGETS", str(path))
        return path

    return written


def test_without_a_file_the_built_in_types_are_names() -> None:
    assert list(named_targets()) == ["local", "docker", "kubernetes"]
    assert resolve_compute_target("docker") == {"name": "docker", "type": "docker", "options": {}}


def test_no_target_is_the_configured_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_compute_target(None)["name"] == "local"
    monkeypatch.setenv("AIRFLOW_TRAIN_COMPUTE_TARGET", "docker")
    assert resolve_compute_target(None)["name"] == "docker"


def test_a_name_of_the_file_gives_type_and_options(targets: Callable[[str], Path]) -> None:
    targets(FILE)
    assert resolve_compute_target("big") == {
        "name": "big",
        "type": "kubernetes",
        "options": {"namespace": "training", "nodes": 3},
    }
    assert resolve_compute_target("py38")["options"] == {"interpreter_path": "/usr/bin/python3.8"}


def test_the_file_lies_in_airflows_home_unless_configured() -> None:
    (Path(os.environ["AIRFLOW_HOME"]) / "train_targets.yaml").write_text(FILE, encoding="utf-8")
    assert resolve_compute_target("big")["type"] == "kubernetes"


def test_a_built_in_name_may_be_given_options(targets: Callable[[str], Path]) -> None:
    targets("local: {type: local, interpreter_path: python3}")
    assert resolve_compute_target(None)["options"] == {"interpreter_path": "python3"}


def test_options_may_stand_in_the_definition() -> None:
    inline = {"type": "local", "interpreter_path": "python3"}
    assert resolve_compute_target(inline) == {
        "name": "local",
        "type": "local",
        "options": {"interpreter_path": "python3"},
    }


def test_an_unknown_name_gets_the_nearest_and_the_list(targets: Callable[[str], Path]) -> None:
    targets(FILE)
    with pytest.raises(
        DefinitionError, match=r"'bgi' .* local, docker, kubernetes, big, py38; did you mean big\?"
    ):
        resolve_compute_target("bgi")


def test_an_unknown_default_is_a_matter_of_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_TRAIN_COMPUTE_TARGET", "nowhere")
    with pytest.raises(ConfigurationError, match=r"\[train\] compute_target is 'nowhere'"):
        resolve_compute_target(None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: local", r":1: a is local but must be a mapping with type"),
        ("a: {}\nb: 3", r":1: a has no type.*\n.*:2: b is 3"),
        ("a: {type: local}\na: {type: local}", r":2: a stands here and in line 1"),
        ("", r":1: the file is empty; begin it with local: {type: local}"),
        ("- a", r":1: the file is a list"),
    ],
)
def test_a_wrong_file_is_said_with_its_lines(text: str, said: str, targets: Callable[[str], Path]) -> None:
    path = targets(text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        named_targets()
    assert str(caught.value).startswith(f"{path}:")


def test_a_configured_file_must_exist(targets: Callable[[str], Path]) -> None:
    targets(FILE).unlink()
    with pytest.raises(ConfigurationError, match="there is no such file"):
        resolve_compute_target("local")
