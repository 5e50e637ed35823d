"""Operators and sensors that wait in the triggerer, by `dag.test()`, which runs real triggers in this process."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Dag = Callable[..., Any]
Run = Callable[..., Any]
Script = Callable[..., str]

#: Goes on when a trigger watches it.
LOGS = """
    import pathlib, time
    from train_run import Run
    print("hello from the script")
    while not pathlib.Path("GO").exists():
        time.sleep(0.02)
    Run.get_context().log("loss", 0.5)
"""
DATA = {"type": "Estimator", "source_directory": "code", "entry_script": "train.py", "grace_seconds": 1}
SUBMIT = f'train = EstimatorOperator(task_id="train", estimator={DATA}, wait_for_completion=False)\n'
SENSOR = 'RunSensor(task_id="wait", run_id=train.output["run_id"], deferrable=True, retry_delay=timedelta(0), {more})'
FOREVER = "import time; time.sleep(300)"


@pytest.fixture(autouse=True)
def our_signals() -> Iterator[None]:
    """Airflow's task runner leaves its signal handler behind."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def detached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a compute target that can defer, installed like any other package."""
    spec = importlib.util.spec_from_file_location("detached_source", Path(__file__).with_name("detached.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return "detached"


@pytest.fixture
def logs(script: Script, tmp_path: Path) -> str:
    """A script that goes on when a trigger watches it, and logs a metric."""
    return script(LOGS.replace("GO", str(tmp_path / "go")))


@pytest.fixture(autouse=True)
def deferrals(airflow_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Events of all triggers that ran."""
    from airflow_train.triggers.run import RunTrigger

    events: list[dict[str, Any]] = []
    original = RunTrigger._event

    async def heard(self: RunTrigger) -> dict[str, Any]:
        (tmp_path / "go").touch()
        event = await original(self)
        events.append(event)
        return event

    monkeypatch.setattr(RunTrigger, "_event", heard)
    return events


def train(more: str = "") -> str:
    return (
        f'train = EstimatorOperator(task_id="train", estimator={DATA}, compute_target="detached", '
        f"deferrable=True, retry_delay=timedelta(0), {more})"
    )


def test_a_deferred_operator_ends_as_one_that_waits_in_its_worker(
    make_dag: Dag, run_dag: Run, logs: str, store: Any, detached: str, deferrals: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from airflow_train.tasks import live_log

    lines: list[str] = []
    monkeypatch.setattr(live_log, "_to_task_log", lambda _, text, __: lines.append(text))
    outcome = run_dag(make_dag(train()))
    assert outcome.states() == {"train": "success"}
    assert [event["status"] for event in deferrals] == ["Completed"]
    result = outcome.xcom("train")
    assert (result["status"], result["metrics"]) == ("Completed", {"loss": 0.5})
    assert {key: outcome.xcom("train", key) for key in result} == result
    assert lines == ["[0] hello from the script"]
    assert len(store.list_runs()) == 1


def test_a_deferred_operator_fails_with_the_runs_own_words_and_is_tried_again(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, detached: str, deferrals: list[Any]
) -> None:
    script("import time; time.sleep(2); raise ValueError('bad weather')")
    outcome = run_dag(make_dag(train("retries=1")))
    assert outcome.state == "failed"
    assert outcome.task("train").try_number == 2
    assert [event["status"] for event in deferrals] == ["Failed", "Failed"]
    assert "bad weather" in store.list_runs()[0].error


def test_the_configured_default_defers_where_the_target_can(
    make_dag: Dag, run_dag: Run, logs: str, store: Any, detached: str, deferrals: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert run_dag(make_dag(train().replace("deferrable=True, ", ""))).state == "success"
    assert len(deferrals) == 1


def test_a_run_that_has_ended_already_defers_nothing(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, deferrals: list[Any]
) -> None:
    script("print('quick')")
    waiting = SUBMIT.replace("wait_for_completion=False", "")
    assert run_dag(make_dag(waiting + SENSOR.format(more=""))).state == "success"
    assert deferrals == []


def test_execution_timeout_ends_the_run_of_a_deferred_operator(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, detached: str, deferrals: list[Any]
) -> None:
    script(FOREVER)
    outcome = run_dag(make_dag(train("retries=0, execution_timeout=timedelta(seconds=2)")))
    assert outcome.states() == {"train": "failed"}
    assert [(event["late"], event["status"]) for event in deferrals] == [("execution_timeout", "Canceled")]
    [run] = store.list_runs()
    assert "execution_timeout" in store.record(run.run_id).cancel["reason"]


def test_a_deferred_sensor_waits_for_a_run_on_any_target_and_owns_it(
    make_dag: Dag, run_dag: Run, logs: str, store: Any, deferrals: list[Any]
) -> None:
    outcome = run_dag(make_dag(SUBMIT + SENSOR.format(more="")))
    assert outcome.states() == {"train": "success", "wait": "success"}
    found = outcome.xcom("wait")
    assert (found["status"], found["metrics"]) == ("Completed", {"loss": 0.5})
    assert len(deferrals) == 1
    owners = [one["owner"] for one in store.record(found["run_id"]).owners]
    assert owners == [str(outcome.task("train").id), str(outcome.task("wait").id)]


@pytest.mark.parametrize(
    ("more", "state"), [("timeout=2", "failed"), ("timeout=2, soft_fail=True", "skipped")]
)
@pytest.mark.parametrize("how", ["deferrable=True", "deferrable=False, poke_interval=0.5"])
def test_the_timeout_of_a_sensor_ends_the_run_it_owns(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, how: str, more: str, state: str
) -> None:
    from airflow_train.lifecycle.wait import wait

    script(FOREVER)
    outcome = run_dag(make_dag(SUBMIT + SENSOR.format(more=more).replace("deferrable=True", how)))
    assert outcome.states()["wait"] == state
    assert wait(store, outcome.xcom("train", "run_id"), timeout=30).status == "Canceled"


@pytest.mark.parametrize("how", ["soft_fail=True", "never_fail=True", "soft_fail=True, mode='reschedule'"])
def test_a_sensor_that_may_fail_softly_does_so_whenever_its_run_failed(
    make_dag: Dag, run_dag: Run, script: Script, deferrals: list[Any], how: str
) -> None:
    """Before it could be deferred as well as behind that."""
    script("raise ValueError('bad weather')")
    ended = SUBMIT.replace("wait_for_completion=False", "retries=0")
    more = f"{how}, trigger_rule='all_done'"
    assert run_dag(make_dag(ended + SENSOR.format(more=more))).states()["wait"] == "skipped"
    assert deferrals == []


@pytest.mark.parametrize("error", [OSError("no such folder"), TypeError("a client's own mistake")])
def test_what_a_triggerer_cannot_read_is_watched_by_the_worker(
    make_dag: Dag, run_dag: Run, logs: str, store: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """As when the triggerer is another machine, on which the store's folder isn't."""
    from airflow_train.tasks import store_watch

    def elsewhere(_: str) -> None:
        raise error

    monkeypatch.setattr(store_watch, "open_store", elsewhere)
    monkeypatch.setattr(store_watch, "PATIENCE", 0.1)
    monkeypatch.setattr(store_watch, "LOOK_EVERY", 0.2)
    outcome = run_dag(make_dag(SUBMIT + SENSOR.format(more="poke_interval=0.1")))
    assert outcome.state == "success"
    assert outcome.xcom("wait", "run_id") == outcome.xcom("train", "run_id")


def test_arguments_of_a_trigger_are_plain_survive_json_and_later_versions_and_hold_no_secret(
    airflow_home: Path,
) -> None:
    import json

    from airflow.sdk.module_loading import import_string

    from airflow_train.triggers.run import RunTrigger

    asked = {"run_id": "train-a", "store": "/data/train", "owner": "o", "waits_for": {"dag_id": "d"}}
    path, kwargs = RunTrigger(**asked).serialize()
    again = import_string(path)(**json.loads(json.dumps({**kwargs, "added_later": 1})))
    assert again.serialize() == (path, kwargs)


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        ({"d-run": {"wait": "failed"}}, True),
        ({"d-run": {"wait": "success"}}, True),
        ({"d-run": {"wait": "skipped"}}, True),
        ({}, True),  # the dag run was deleted
        (
            {"d-run": {"wait": "deferred"}},
            False,
        ),  # it moves to another triggerer, or a newer try waits already
        ({"d-run": {"wait": "running"}}, False),  # its own resume, or the next try, which decides itself
        ({"d-run": {"wait": None}}, False),  # cleared
        (None, False),  # the triggerer shuts down, nobody answers
    ],
)
def test_a_trigger_that_is_taken_away_ends_the_run_only_if_a_user_ended_the_task(
    make_dag: Dag,
    run_dag: Run,
    script: Script,
    store: Any,
    monkeypatch: pytest.MonkeyPatch,
    answer: Any,
    ends: bool,
) -> None:
    from airflow_train.lifecycle.wait import wait
    from airflow_train.tasks import compat
    from airflow_train.triggers.run import RunTrigger

    script(FOREVER)
    [run] = submitted(make_dag, run_dag, store)
    monkeypatch.setattr(compat, "task_states", lambda *_: answer)
    task = {"dag_id": "d", "dag_run_id": "d-run", "task_id": "wait", "map_index": -1}
    mine = {"run_id": run.run_id, "store": store.uri, "waits_for": task}
    asyncio.run(RunTrigger(**mine, owner="an-older-owner").on_kill())
    asyncio.run(RunTrigger(**mine, owner=store.owner(run.run_id), leave=True).on_kill())
    assert not store.cancel_asked(run.run_id)
    asyncio.run(cancelled_every_moment(RunTrigger(**mine, owner=store.owner(run.run_id)).on_kill()))
    assert store.cancel_asked(run.run_id) is ends
    store.ask_cancel(run.run_id, "the test", "")
    assert wait(store, run.run_id, timeout=30).status == "Canceled"


def submitted(make_dag: Dag, run_dag: Run, store: Any) -> list[Any]:
    run_dag(make_dag(SUBMIT))
    found: list[Any] = store.list_runs()
    return found


async def cancelled_every_moment(work: Any) -> None:
    """As Airflow does it: it cancels a trigger that is being ended again and again."""
    from airflow_train.triggers import run

    task = asyncio.ensure_future(work)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.gather(*run._stopping)


def orphan(
    make_dag: Dag,
    run_dag: Run,
    monkeypatch: pytest.MonkeyPatch,
    more: str = "",
    how: str = "EstimatorOperator",
) -> Any:
    """A task that failed while its run goes on, as when the worker of the last try is killed."""
    from airflow_train.tasks import training

    def dies(*_: Any, **__: Any) -> None:
        raise OSError("the worker is gone")

    with monkeypatch.context() as patch:
        patch.setattr(training, "follow", dies)
        dag = make_dag(f'{how}(task_id="lost", estimator={DATA}, experiment="lost", retries=0, {more})')
        assert run_dag(dag).states() == {"lost": "failed"}


def test_a_run_whose_task_has_ended_without_it_is_found_and_stopped_by_the_next_sensor(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_train.lifecycle.wait import wait

    script(FOREVER)
    orphan(make_dag, run_dag, monkeypatch)
    orphan(make_dag, run_dag, monkeypatch, "on_kill='leave'")
    orphan(make_dag, run_dag, monkeypatch, "do_xcom_push=False")
    unknown, left, lost = store.list_runs(experiment="lost")
    script("print('hello')", "code")
    run_dag(make_dag(SUBMIT + SENSOR.format(more="")))
    assert wait(store, lost.run_id, timeout=30).status == "Canceled"
    assert "has ended (failed) without it" in store.record(lost.run_id).cancel["reason"]
    for run in (left, unknown):
        assert not store.cancel_asked(run.run_id)
        store.ask_cancel(run.run_id, "the test", "")
        wait(store, run.run_id, timeout=30)


def test_the_end_of_a_task_whose_name_is_like_that_of_a_mapped_one_stops_nothing(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's answer about several tasks has one entry for `lost[0]` and `lost_0`."""
    from airflow_train.lifecycle.wait import wait
    from airflow_train.tasks import compat, reconcile

    script(FOREVER)
    orphan(make_dag, run_dag, monkeypatch, ").expand(tags=[{}]", "EstimatorOperator.partial")
    [run] = store.list_runs(experiment="lost")
    task = store.newest_owner(run.run_id)["task"]
    assert task["map_index"] == 0
    states = {("lost", 0): "deferred", ("lost_0", -1): "failed"}

    def answer(_: str, __: Any, task_ids: Any, index: int, ___: float) -> Any:
        rows = states if index < 0 else {(task_ids[0], index): states[task_ids[0], index]}
        named = {name if at < 0 else f"{name}_{at}": state for (name, at), state in rows.items()}
        return {task["dag_run_id"]: named}

    monkeypatch.setattr(compat, "task_states", answer)
    monkeypatch.setattr(compat, "xcom_of", lambda *_: run.run_id)
    assert reconcile.stop_orphans(store) == []
    states["lost", 0] = "failed"
    assert reconcile.stop_orphans(store) == [run.run_id]
    assert wait(store, run.run_id, timeout=30).status == "Canceled"


def test_a_watch_with_nobody_left_is_gone(store: Any) -> None:
    from airflow_train.tasks import store_watch

    async def enter_and_leave() -> None:
        with store_watch.watching(store.uri, "train-a"), store_watch.watching(store.uri, "train-b"):
            assert len(store_watch._watches) == 1
        assert store_watch._watches == {}
        await asyncio.sleep(0)

    asyncio.run(enter_and_leave())
    assert "airflow" in sys.modules


def test_an_answer_about_another_run_is_not_taken_for_ours(
    make_dag: Dag, run_dag: Run, logs: str, detached: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Airflow on SQLite hands it over when the task was cleared."""
    from airflow_train.triggers.run import RunTrigger

    original = RunTrigger._event

    async def foreign(self: RunTrigger) -> dict[str, Any]:
        return {**await original(self), "run_id": "train-of-the-try-before", "late": "execution_timeout"}

    monkeypatch.setattr(RunTrigger, "_event", foreign)
    outcome = run_dag(make_dag(train()))
    assert outcome.states() == {"train": "success"}
    assert outcome.xcom("train", "metrics") == {"loss": 0.5}
