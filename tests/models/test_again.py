"""Registering a path of a run again finds the version that it has; nothing that is said then is lost in silence."""

from __future__ import annotations

import logging

import pytest

from airflow_train.models.registration import register_from_run
from airflow_train.store import layout
from airflow_train.store.files import Files


@pytest.fixture
def files(store_uri: str) -> Files:
    """A store with one run that has a file."""
    opened = Files.open(store_uri)
    opened.create_json(layout.spec("run_1"), {})
    opened.create(f"{layout.files('run_1')}/outputs/model", b"weights")
    return opened


def test_what_is_new_is_added(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    register_from_run(files, "run_1", "digits", "outputs/model", tags={"a": "1"}, model_framework="Custom")
    again = register_from_run(
        files, "run_1", "digits", "outputs/model", tags={"b": "2"}, properties={"p": "q"}, description="d"
    )
    assert (again.version, again.tags, again.properties) == (1, {"a": "1", "b": "2"}, {"p": "q"})
    assert (again.description, again.framework) == ("d", "Custom")
    assert caplog.records == []


def test_what_differs_stays_and_is_said_in_one_sentence(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    first = {"tags": {"a": "1"}, "description": "d", "model_framework": "PyTorch"}
    register_from_run(files, "run_1", "digits", "outputs/model", **first)  # type: ignore[arg-type]
    other = {"tags": {"a": "2"}, "description": "e", "model_framework": "Custom"}
    with caplog.at_level(logging.WARNING):
        again = register_from_run(files, "run_1", "digits", "outputs/model", **other)  # type: ignore[arg-type]
    assert (again.tags, again.description, again.framework) == ({"a": "1"}, "d", "PyTorch")
    (said,) = [one.getMessage() for one in caplog.records]
    assert said.startswith(
        "Model digits:1 exists and keeps its tags['a'], description, framework; change tags"
    )


def test_the_same_again_changes_nothing(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    same = {"tags": {"a": "1"}, "description": "d", "model_framework": "PyTorch"}
    for _ in range(2):
        register_from_run(files, "run_1", "digits", "outputs/model", **same)  # type: ignore[arg-type]
    assert files.list(f"{layout.model_version('digits', 1)}/changes") == []
    assert caplog.records == []
