"""Secrets reach the ranks and nothing else: no file of the store, no other process, no sentence holds one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_train.definitions.secrets import Reference
from airflow_train.exceptions import RunNotCompleted
from airflow_train.lifecycle import observe, wait
from airflow_train.lifecycle.experiment import Experiment
from airflow_train.lifecycle.secrets import Source
from airflow_train.lifecycle.submit import dry_run, submit
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from tests.lifecycle.secret_runs import TOKEN, definition, folder_of, run_of, store
from tests.secrecy import KEY, SECRET, processes_showing, shown_in
from tests.targets.lab import Lab, until

__all__ = ["definition", "store"]

#: Shows its secrets in every way that is stored.
SHOWS = """
import json, logging, os, sys, time, urllib.parse
from train_run import Run
secret, key = os.environ["SECRET"], os.environ["KEY"]
print("here:", secret, urllib.parse.quote(secret, safe=""), [secret], json.dumps({"key": key}), flush=True)
print(key, os.environ)
for n in range(0, len(secret), 3):
    sys.stdout.write(secret[n : n + 3]); sys.stdout.flush(); time.sleep(0.01)
print()
sys.stderr.write("x" * 300_000 + secret + "\\n")
with open("logs/a.log", "w") as log:
    log.write("begins with " + secret[:5]); log.flush(); time.sleep(0.5); log.write(secret[5:] + key)
run = Run.get_context()
open("logs/" + os.environ["TOKEN"] + ".log", "w").close()
run.log("loss", 0.5)
run.log(secret, "why " + secret, description=secret)
run.log_list("list", [secret, 1]); run.log_row("row", a=key); run.log_table("table", {secret: [secret]})
run.tag(secret, "tag " + key)
"""
FAILS = SHOWS + "\nraise ValueError('can not log in with ' + secret)\n"
AZUREML = """
import os
from azureml.core import Run
run = Run.get_context()
secret = run.get_secret("SECRET")
run.add_properties({"login": secret})
child = run.child_run(secret)
child.log("with", secret)
child.complete()
open("outputs/model.txt", "w").write("weights")
run.register_model("m", "outputs/model.txt", tags={"by": secret}, description="made with " + secret)
"""


def test_a_script_finds_its_secrets_in_its_environment(store: RunStore, definition: Any) -> None:
    code = "import os; open('outputs/x','w').write(os.environ['SECRET'] + os.environ['KEY'] + os.environ['OUR_KEY'])"
    run = run_of(store, definition(code))

    assert store.files.read(f"{layout.outputs(run.id)}/x").decode() == SECRET + KEY + KEY


@pytest.mark.parametrize("code", [SHOWS, FAILS], ids=["completed", "failed"])
def test_nothing_in_the_store_shows_a_secret(store: RunStore, definition: Any, code: str) -> None:
    run = run_of(store, definition(code))
    lines = [line.text for line in run.logs()]

    assert run.get_status() == ("Completed" if code is SHOWS else "Failed"), lines
    assert shown_in(folder_of(store), SECRET, KEY, TOKEN) == []
    assert 'here: *** *** [\'***\'] {"key": "***"}' in lines
    assert run.get_metrics()["***"] == "why ***"
    assert run.get_metrics("loss") == {"loss": 0.5}
    assert store.files.read(f"{layout.logs(run.id)}/a.log") == b"begins with ******"


@pytest.mark.python38
def test_the_oldest_python_hides_them_too(
    store: RunStore, definition: Any, python38: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", python38)
    run = run_of(store, definition(SHOWS))

    assert run.get_status() == "Completed", [line.text for line in run.logs()]
    assert shown_in(folder_of(store), SECRET, KEY, TOKEN) == []


def test_no_sentence_about_a_failure_shows_a_secret(store: RunStore, definition: Any) -> None:
    run = Experiment("secret", store).submit(definition(FAILS))
    with pytest.raises(RunNotCompleted, match=r"ValueError: can not log in with \*\*\*") as caught:
        run.wait_for_completion()
    assert SECRET not in str(caught.value)
    assert KEY not in str(caught.value)


def test_what_a_script_for_azure_ml_keeps_shows_no_secret(store: RunStore, definition: Any) -> None:
    run = run_of(store, definition(AZUREML))

    assert run.get_status() == "Completed", [line.text for line in run.logs()]
    assert shown_in(folder_of(store), SECRET, KEY, TOKEN) == []
    assert run.properties["login"] == "***"
    assert run.get_children()[0].get_metrics() == {"with": "***"}


@pytest.mark.nbconvert
def test_a_kept_notebook_shows_no_secret(
    store: RunStore, definition: Any, tmp_path: Path, nbconvert: str
) -> None:
    sources = [
        "import os; secret = os.environ['SECRET']",
        "print(secret)",
        "secret",
        "raise ValueError(secret)",
    ]
    cell = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    whole = {"nbformat": 4, "nbformat_minor": 2, "metadata": {}}
    data = definition("")
    (tmp_path / "source" / "train.ipynb").write_text(
        json.dumps({**whole, "cells": [{**cell, "source": source} for source in sources]})
    )
    python = {"user_managed_dependencies": True, "interpreter_path": nbconvert}
    more = {"entry_script": "train.ipynb", "environment_definition": {"name": "nb", "python": python}}
    run = run_of(store, {**data, **more})
    kept = json.loads(store.files.read(f"{layout.outputs(run.id)}/train.ipynb"))

    assert kept["cells"][2]["outputs"][0]["text"] == ["***\n"]
    assert "ValueError: ***" in run.get_details()["error"]["error"]["message"]
    assert shown_in(folder_of(store), SECRET, KEY, TOKEN) == []


@pytest.mark.mpi
def test_ranks_of_mpi_have_their_secrets_and_nobody_shows_them(
    store: RunStore, definition: Any, mpi_python: str, lab: Lab, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    code = f"{SHOWS}\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    environment = {
        "name": "e",
        "python": {"user_managed_dependencies": True, "interpreter_path": mpi_python},
    }
    more = {"distributed_training": "mpi", "process_count_per_node": 2, "environment_definition": environment}
    run = Experiment("secret", store).submit(definition(code, **more))
    lab.run_ids.append(run.id)
    lab.started(run.id, 2)
    showing = processes_showing(run.id, SECRET, KEY)
    go.touch()
    run.wait_for_completion(raise_on_error=False)

    assert run.get_status() == "Completed", [line.text for line in run.logs()]
    assert showing == []
    assert shown_in(folder_of(store), SECRET, KEY, TOKEN) == []


def test_only_the_script_has_secrets_in_environment_or_command_line(
    store: RunStore, definition: Any, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    monkeypatch.setenv("URL_OF_MINE", f"postgres://me:{TOKEN}@host/db")
    run = Experiment("secret", store).submit(definition(code))
    lab.run_ids.append(run.id)
    script = lab.started(run.id)[0]["script"]["pid"]
    environ = Path(f"/proc/{script}/environ")
    until(lambda: SECRET.encode() in environ.read_bytes())
    inherited = f"URL_OF_MINE=postgres://me:{TOKEN}@host/db".encode() in environ.read_bytes()
    showing = processes_showing(run.id, SECRET, KEY, TOKEN)
    supervisor = Path(f"/proc/{lab.supervisor(run.id)}/environ").read_bytes()
    go.touch()
    run.wait_for_completion()

    assert (showing, inherited) == ([], True)
    assert not any(value.encode() in supervisor for value in (SECRET, TOKEN))


def test_a_plan_names_references_only(store: RunStore, definition: Any) -> None:
    plan = dry_run(store, definition("pass")).to_json()

    assert plan["launch"]["secrets"] == ["KEY", "SECRET", "TOKEN"]
    assert SECRET not in str(plan)


def test_who_can_read_the_secrets_starts_what_a_dead_submitter_left(
    store: RunStore, definition: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(Exception):
        pass

    def die() -> None:
        raise Died

    with pytest.raises(Died):
        submit(store, definition("pass"), run_id="left", before_start=die)
    monkeypatch.setattr(observe, "START_AFTER", 0.0)
    monkeypatch.delenv("OUR_KEY")
    blind = observe.look(store, "left", may_start=True)
    monkeypatch.setenv("OUR_KEY", KEY)
    seeing = wait.wait(store, "left", timeout=30)

    assert blind.record.claim is None
    assert "waits for a process that can read its secrets: secrets.KEY is env:OUR_KEY, but" in blind_reason(
        store
    )
    assert seeing.status == "Completed"


def test_a_start_that_nobody_can_make_fails_with_what_is_missing(
    store: RunStore, definition: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        raise InterruptedError

    monkeypatch.setenv("AIRFLOW_TRAIN_START_LIMIT", "0.5")
    monkeypatch.setattr(observe, "START_AFTER", 0.1)
    with pytest.raises(InterruptedError):
        submit(store, definition("pass"), run_id="left", before_start=die)
    monkeypatch.delenv("OUR_KEY")
    view = wait.wait(store, "left", poll_interval=0.05, timeout=30)

    assert (view.record.verdict or {})["reason"] == "phase_limit"
    assert (
        "can read its secrets: secrets.KEY is env:OUR_KEY, but the environment variable" in view.record.reason
    )


def blind_reason(store: RunStore) -> str:
    """Why the run of that test waited."""
    return next(str(event["reason"]) for event in store.record("left").events if "waits" in event["reason"])


@pytest.mark.parametrize("knows", [True, False], ids=["who can read them", "who can't"])
def test_logs_that_a_dead_supervisor_left_show_no_secret(
    store: RunStore, definition: Any, lab: Lab, knows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\nfile = open('logs/a.log', 'w', buffering=1)\n"
        "while True: file.write('x' + os.environ['SECRET'] + '\\n'); time.sleep(0.01)\n"
    )
    run = Experiment("secret", store).submit(definition(code))
    lab.run_ids.append(run.id)
    copy = lab.path(run.id, "files", "logs", "a.log")
    until(lambda: copy.exists() and copy.stat().st_size > 100)
    os.kill(lab.supervisor(run.id), 9)
    if not knows:
        monkeypatch.delenv("OUR_SECRET")
    lab.wait(run.id)

    assert shown_in(folder_of(store), SECRET, KEY, TOKEN) == []
    assert set(copy.read_text().split()) == {"x***"}
    assert ("are not copied" in lab.output(run.id, "system_logs/node_0.txt")) != knows
    assert not list(copy.parent.glob("*conflict*"))


def test_short_values_and_numbers_of_metrics_are_left_as_they_are(store: RunStore, definition: Any) -> None:
    values = {"PIN": "123456", "SHORT": "abc"}
    source = Source(lambda wanted: values[wanted.name])
    code = (
        "from train_run import Run\nrun = Run.get_context()\nrun.log('n', 123456)\nrun.log('text', 'pin 123456')\n"
        "print('abc 123456')\n"
    )
    secrets = {name: f"variable:{name}" for name in values}
    with pytest.warns(UserWarning, match=r"secrets\.SHORT has fewer than 5 characters, so it isn't hidden"):
        run = run_of(store, definition(code, secrets=secrets), source)

    assert run.get_metrics() == {"n": 123456, "text": "pin ***"}
    assert [line.text for line in run.logs()] == ["abc ***"]


def test_a_large_secret_arrives_whole(store: RunStore, definition: Any) -> None:
    large = "0123456789" * 10_000
    code = "import os; open('outputs/x','w').write(os.environ['LARGE'])"
    source = Source(lambda wanted: large)
    assert isinstance(Reference("variable", "large"), tuple)
    run = run_of(store, definition(code, secrets={"LARGE": "variable:large"}), source)

    assert store.files.read(f"{layout.outputs(run.id)}/x").decode() == large
    assert sys.getsizeof(large) > 65536  # more than a pipe holds


def test_a_command_line_that_is_shown_in_part_shows_no_part_of_a_secret(
    store: RunStore, definition: Any, lab: Lab
) -> None:
    """What hangs is shown with the first 200 characters of its command line; a secret begins at the 195th."""
    code = """
import os, subprocess, sys
words = [sys.executable, "-c", "import time\\n\\ntime.sleep(1000)"]
begun = len(" ".join(" ".join(words).split())) + 1
subprocess.run([*words, "x" * (194 - begun) + os.environ["SECRET"]])
"""
    run = Experiment("secret", store).submit(definition(code, no_progress_timeout=1, grace_seconds=0.5))
    lab.run_ids.append(run.id)
    lab.wait(run.id)
    log = lab.path(run.id, protocol.rank_log(0)).read_text().splitlines()

    assert any("xxx***" in line for line in log)
    assert not any("xxx" + SECRET[:1] in line for line in log)
    assert all(line.startswith("20") for line in log)
