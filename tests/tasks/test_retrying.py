"""Names tell a bug from bad luck: what `retry_on` takes, and what it refuses in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_train import exceptions
from airflow_train.exceptions import (
    DefinitionError,
    InfrastructureFailure,
    RunCanceled,
    RunFailed,
    RunNotCompleted,
    WorkerLeft,
)
from airflow_train.targets.docker.errors import EngineUnreachable
from airflow_train.tasks import retrying


def test_every_way_for_a_run_to_fail_has_one_name() -> None:
    classes = [
        one for one in vars(exceptions).values() if isinstance(one, type) and issubclass(one, RunNotCompleted)
    ]
    named = {one: retrying.name_of(one("", "run")) for one in classes if one is not RunNotCompleted}
    assert {one for one, name in named.items() if name is None} == {RunCanceled, WorkerLeft}
    given = [name for name in named.values() if name]
    assert sorted(given) == sorted(retrying.names())
    assert {"infrastructure", "out_of_memory", "time_limit", "script_error"} <= set(given)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (["infrastructure", "out_of_memory"], ("infrastructure", "out_of_memory")),
        ("infrastructure", ("infrastructure",)),
        ([InfrastructureFailure], ("infrastructure",)),
        (["script_error"], ("script_error",)),
        ([], ()),
    ],
)
def test_names_and_classes_mean_the_same(said: Any, read: tuple[str, ...]) -> None:
    assert retrying.read("task t", said) == read


def test_what_a_target_tells_apart_has_the_name_of_its_branch() -> None:
    assert retrying.name_of(EngineUnreachable("no engine", "run")) == "infrastructure"
    assert "engine_unreachable" not in retrying.names()


def test_a_class_stands_for_all_below_it() -> None:
    found = retrying.read("task t", [RunFailed])
    assert {"script_error", "out_of_memory", "time_limit"} <= set(found)
    assert "infrastructure" not in found


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (["infrastucture"], "task t: retry_on holds 'infrastucture', .*; did you mean 'infrastructure'?"),
        ([DefinitionError], "task t: retry_on holds DefinitionError, .*; use some of .*infrastructure"),
        ([RunCanceled], "RunCanceled"),
        ([ValueError], "ValueError"),
        (7, "task t: retry_on is 7 but must be a list; use some of"),
    ],
)
def test_what_no_retry_could_mend_is_refused_in_one_sentence(said: Any, sentence: str) -> None:
    with pytest.raises(DefinitionError, match=sentence) as caught:
        retrying.read("task t", said)
    assert "\n" not in str(caught.value)
