"""`retry_on` and retry policies in real DAGs: a bug fails at once, bad luck is tried again."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_train.exceptions import (
    InfrastructureFailure,
    OutOfMemory,
    RunCanceled,
    RunFailed,
    TimeLimitReached,
    WorkerLeft,
)

Dag = Callable[..., Any]
Run = Callable[..., Any]
Script = Callable[..., str]

DATA = {"type": "Estimator", "source_directory": "code", "entry_script": "train.py"}
BUG = "raise ValueError('bad weather')"
#: A supervisor that is killed takes its ranks along.
BAD_LUCK = """
    import os, signal
    from pathlib import Path
    claim = next(p for p in Path(os.environ["STORE"]).glob("runs/*/node_0/claim.json") if p.parts[-3] in os.getcwd())
    import json
    os.kill(json.loads(claim.read_text())["pid"], signal.SIGKILL)
    import time; time.sleep(60)
"""
POLICY = "retry_policy=__import__('airflow_train.tasks.retry_policy', fromlist=['x']).RunRetryPolicy()"


def train(store: Any, more: str) -> str:
    data = {**DATA, "environment_variables": {"STORE": store.uri}}
    return (
        f'EstimatorOperator(task_id="train", estimator={data}, retries=1, retry_delay=timedelta(0), {more})'
    )


@pytest.mark.parametrize("more", ["retry_on=['infrastructure']", POLICY])
def test_a_bug_is_not_tried_again_and_bad_luck_is(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, more: str
) -> None:
    if more == POLICY and importlib.util.find_spec("airflow.sdk.definitions.retry_policy") is None:
        pytest.skip("Airflow before 3.3 has no retry policies")
    script(BUG)
    assert run_dag(make_dag(train(store, more))).task("train").try_number == 1
    script(BAD_LUCK)
    assert run_dag(make_dag(train(store, more))).task("train").try_number == 2
    from airflow_train.runs.verdict import Verdict

    newest = store.record(store.list_runs()[0].run_id)
    assert Verdict.from_json(newest.verdict).reason == "infrastructure"


def test_a_wrong_name_is_an_error_of_the_dag_file(make_dag: Dag, store: Any) -> None:
    from airflow_train.exceptions import DefinitionError

    with pytest.raises(DefinitionError, match="task train: retry_on holds 'oom'"):
        make_dag(train(store, "retry_on=['oom']"))


def test_a_dag_with_a_policy_is_serialized(make_dag: Dag, store: Any, airflow_home: Path) -> None:
    pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="Airflow before 3.3")
    from airflow.serialization.serialized_objects import DagSerialization

    assert "RunRetryPolicy" not in str(DagSerialization.serialize_dag(make_dag(train(store, POLICY))))


@pytest.mark.parametrize(
    ("error", "retry_on", "retried"),
    [
        (RunFailed("bug", "r"), None, True),
        (RunFailed("bug", "r"), ["infrastructure"], False),
        (OutOfMemory("big", "r"), ["script_error"], False),
        (OutOfMemory("big", "r"), ["out_of_memory"], True),
        (TimeLimitReached("slow", "r"), [], False),
        (WorkerLeft("gone", "r"), [], True),
        (OSError("disk"), [], True),
        (RunCanceled("no", "r"), ["infrastructure"], False),
    ],
)
def test_retry_on_decides_on_failed_runs_only(
    airflow_home: Path, error: Exception, retry_on: Any, retried: bool
) -> None:
    from airflow_train.tasks import failures
    from airflow_train.tasks.compat import AirflowFailException

    kind = type(error) if retried else AirflowFailException
    with pytest.raises(kind), failures.translated(retry_on):
        raise error


def test_a_policy_of_airflow_decides_the_same_and_knows_delays(airflow_home: Path) -> None:
    module = pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="Airflow before 3.3")
    from airflow_train.tasks.retry_policy import RunRetryPolicy

    policy = RunRetryPolicy(["infrastructure", "out_of_memory"], {"infrastructure": timedelta(minutes=5)})
    for one in (policy, RunRetryPolicy.deserialize(policy.serialize())):
        lost = one.evaluate(InfrastructureFailure("lost", "r"), 1, 3)
        assert (lost.action, lost.retry_delay) == (module.RetryAction.RETRY, timedelta(minutes=5))
        assert one.evaluate(OutOfMemory("big", "r"), 1, 3).retry_delay is None
        assert one.evaluate(RunFailed("bug", "r"), 1, 3).action is module.RetryAction.FAIL
        assert one.evaluate(WorkerLeft("gone", "r"), 1, 3).action is module.RetryAction.DEFAULT
        assert one.evaluate(OSError("disk"), 1, 3).action is module.RetryAction.DEFAULT
    from airflow_train.exceptions import DefinitionError

    for wrong in ({"infrastructure": -1}, {"infrastructure": "soon"}, {"time_limit": 5}):
        with pytest.raises(DefinitionError, match="RunRetryPolicy"):
            RunRetryPolicy(["infrastructure"], wrong)
