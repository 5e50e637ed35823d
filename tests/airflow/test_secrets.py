"""Secrets from Airflow: read by the task, known to the ranks, shown nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.secrecy import SECRET, shown_in

SCRIPT = """
    import os
    from train_run import Run
    with open("outputs/found.txt", "w") as file:
        file.write(" ".join(os.environ[name] for name in ("KEY", "EXTRA", "VAR")))
    print("is", os.environ["KEY"], os.environ["VAR"])
    Run.get_context().log("with", os.environ["KEY"])
"""
SECRETS = (
    'secrets={"KEY": "connection:trainer/password", "EXTRA": "connection:trainer/extra.region.name",'
    ' "VAR": "variable:train_key"}'
)


@pytest.fixture(autouse=True)
def kept(airflow_home: Path) -> Iterator[None]:
    """A connection and a variable in Airflow's database."""
    from airflow.models import Connection, Variable
    from airflow.utils.session import create_session

    extra = json.dumps({"region": {"name": "eu-west-7"}})
    with create_session() as session:
        session.add(Connection(conn_id="trainer", conn_type="generic", password=SECRET, extra=extra))
        Variable.set("train_key", "variable-hunter2", session=session)
    yield
    with create_session() as session:
        session.query(Connection).filter(Connection.conn_id == "trainer").delete()
        Variable.delete("train_key", session=session)


def test_connections_and_variables_reach_the_script_and_nothing_else(
    make_dag: Any, run_dag: Any, script: Any, store: Any, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    script(SCRIPT)
    dag = make_dag(
        f"""
        EstimatorOperator(task_id="train", estimator=Estimator("code", entry_script="train.py", {SECRETS}))
        """
    )
    outcome = run_dag(dag)
    xcom = outcome.xcom("train")
    said = capfd.readouterr()
    found = store.files.read(f"runs/{xcom['run_id']}/files/outputs/found.txt").decode()

    assert outcome.states() == {"train": "success"}
    assert found == f"{SECRET} eu-west-7 variable-hunter2"
    (Path(store.files.local_root) / "runs" / xcom["run_id"] / "files" / "outputs" / "found.txt").unlink()
    assert shown_in(Path(store.files.local_root), SECRET, "variable-hunter2") == []
    assert xcom["metrics"] == {"with": "***"}
    assert all(
        value not in said.out + said.err + caplog.text + json.dumps(xcom)
        for value in (SECRET, "variable-hunter2")
    )


def test_a_rendered_password_is_refused_and_the_mend_is_named(
    make_dag: Any, run_dag: Any, script: Any, store: Any, capfd: Any
) -> None:
    script(SCRIPT)
    dag = make_dag(
        """
        EstimatorOperator(
            task_id="train",
            estimator=Estimator(
                "code", entry_script="train.py", script_params={"--login": "{{ conn.trainer.password }}"}
            ),
        )
        """
    )
    outcome = run_dag(dag)
    log = capfd.readouterr().out

    assert outcome.states() == {"train": "failed"}
    assert "script_params['--login'] holds a value that Airflow keeps secret (not shown)" in log
    assert SECRET not in log
    assert not store.files.exists("runs")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("connection:nobody/password", "there is no connection nobody; add it in Airflow"),
        ("connection:trainer/login", "connection trainer has no login; fill it in"),
        ("connection:trainer/extra.token", "connection trainer has no extra.token; fill it in"),
        ("variable:nothing", "there is no variable nothing; add it in Airflow"),
    ],
)
def test_what_is_missing_is_named_and_not_retried(
    make_dag: Any, run_dag: Any, script: Any, store: Any, capfd: Any, wanted: str, said: str
) -> None:
    script(SCRIPT)
    dag = make_dag(
        f"""
        EstimatorOperator(
            task_id="train", estimator=Estimator("code", entry_script="train.py", secrets={{"KEY": "{wanted}"}})
        )
        """
    )
    outcome = run_dag(dag)
    log = capfd.readouterr().out

    assert outcome.states() == {"train": "failed"}  # not up_for_retry
    assert f"secrets.KEY is {wanted}, but {said}" in log
    assert not store.files.exists("runs")


@pytest.mark.parametrize("kept_in", ["the database", "the environment"])
def test_a_command_reads_what_airflow_keeps(
    airflow_home: Path, script: Any, store: Any, kept_in: str
) -> None:
    folder = airflow_home / "dags" / script(SCRIPT)
    file = folder.parent / "train.yaml"
    file.write_text(
        "type: Estimator\nsource_directory: code\nentry_script: train.py\n"
        "secrets:\n  KEY: connection:trainer/password\n"
        "  EXTRA: connection:trainer/extra.region.name\n  VAR: variable:train_key\n"
    )
    environment = dict(os.environ)
    environment.pop("_AIRFLOW_PROCESS_CONTEXT", None)
    if kept_in == "the environment":
        extra = {"region": {"name": "eu-west-7"}}
        environment["AIRFLOW_CONN_TRAINER"] = json.dumps(
            {"conn_type": "generic", "password": "x" + SECRET, "extra": extra}
        )
        environment["AIRFLOW_VAR_TRAIN_KEY"] = "variable-hunter2"
    done = subprocess.run(
        [sys.executable, "-m", "airflow_train.cli", "run", str(file), "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = store.files.read(f"runs/{json.loads(done.stdout)['run_id']}/files/outputs/found.txt").decode()

    assert found == f"{'x' if kept_in == 'the environment' else ''}{SECRET} eu-west-7 variable-hunter2"
    assert SECRET not in done.stdout + done.stderr
