"""Tasks whose runs are in containers: in the worker, deferred, retried, killed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.crowd import IMAGES
from tests.targets import registry
from tests.targets.lab import DOCKER, IMAGE, docker, docker_objects

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_target")]

Dag = Callable[..., Any]
Script = Callable[..., str]
DATA = '{"type": "Estimator", "source_directory": "code", "entry_script": "train.py"}'
LOGS = """
    from train_run import Run
    open("outputs/model", "w").write("weights")
    print("hello from the container")
    Run.get_context().log("loss", 0.5)
"""


@pytest.fixture
def docker_target(docker_engine: str, airflow_home: Path) -> Iterator[None]:
    """The target docker has an image."""
    file = airflow_home / "train_targets.yaml"
    file.write_text(f"docker: {{type: docker, image: {IMAGE}}}\n", encoding="utf-8")
    yield
    file.unlink()


def train(more: str = "") -> str:
    return (
        f'train = EstimatorOperator(task_id="train", estimator={DATA}, compute_target="docker", '
        f"retry_delay=timedelta(0), {more})"
    )


@pytest.mark.parametrize("more", ["", "deferrable=True"], ids=["in the worker", "deferred"])
def test_outputs_metrics_and_lines_come_home(
    make_dag: Dag, run_dag: Dag, script: Script, store: Any, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_train.lifecycle.run import Run
    from airflow_train.tasks import live_log

    lines: list[str] = []
    monkeypatch.setattr(live_log, "_to_task_log", lambda _, text, __: lines.append(text))
    script(LOGS)
    outcome = run_dag(make_dag(train(more)))
    run = Run(outcome.xcom("train", "run_id"), store)

    assert outcome.states() == {"train": "success"}
    assert outcome.xcom("train", "metrics") == {"loss": 0.5}
    assert lines == ["[0] hello from the container"]
    assert "outputs/model" in run.get_file_names()
    assert docker_objects(run.id) == []


def test_a_script_that_fails_is_tried_again_in_a_container_of_its_own(
    make_dag: Dag, run_dag: Dag, script: Script, store: Any
) -> None:
    script("raise ValueError('bad weather')")
    outcome = run_dag(make_dag(train("retries=1")))
    runs = store.list_runs()

    assert outcome.states() == {"train": "failed"}
    assert [("bad weather" in run.error, run.target) for run in runs] == [(True, DOCKER["name"])] * 2
    assert [docker_objects(run.run_id) for run in runs] == [[], []]


def test_a_missing_image_fails_the_task_with_one_sentence(
    make_dag: Dag, run_dag: Dag, script: Script, store: Any
) -> None:
    script(LOGS)
    estimator = DATA.replace("}", ', "custom_docker_image": "localhost:9/no/such:image"}')
    outcome = run_dag(make_dag(train().replace(DATA, estimator)))

    assert outcome.states() == {"train": "failed"}
    assert "localhost:9/no/such:image isn't on the Docker engine" in store.list_runs()[0].error


@pytest.mark.parametrize(
    ("image", "tries"),
    [("{registry}/private/tool:1", 1), ("127.0.0.1:9/some/tool:1", 2)],
    ids=["login", "registry"],
)
def test_a_bad_login_is_not_tried_again_and_a_registry_that_is_away_is(
    make_dag: Dag, run_dag: Dag, script: Script, store: Any, tmp_path: Path, image: str, tries: int
) -> None:
    script(LOGS)
    with registry.running(tmp_path) as address:
        named = f', "custom_docker_image": "{image.format(registry=address)}"}}'
        task = train("retries=1, retry_on=['infrastructure']").replace(DATA, DATA.replace("}", named))
        outcome = run_dag(make_dag(task))

    assert outcome.states() == {"train": "failed"}
    assert len([run for run in store.list_runs() if run.target == "docker"]) == tries


@pytest.mark.parametrize("more", ["", "deferrable=True"], ids=["in the worker", "deferred"])
def test_the_engine_may_be_an_airflow_connection(
    make_dag: Dag,
    run_dag: Dag,
    script: Script,
    store: Any,
    airflow_home: Path,
    more: str,
    docker_engine: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {"conn_type": "docker", "host": "r.example", "login": "me", "password": "s3cr3t-word"}
    kept["extra"] = json.dumps({"docker_url": docker_engine})
    monkeypatch.setenv("AIRFLOW_CONN_ENGINE", json.dumps(kept))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    file = airflow_home / "train_targets.yaml"
    file.write_text(f"docker: {{type: docker, image: {IMAGE}, connection: engine}}\n", encoding="utf-8")
    script(LOGS)
    outcome = run_dag(make_dag(train(more)))

    assert outcome.states() == {"train": "success"}
    monkeypatch.delenv("DOCKER_HOST")
    run_id = outcome.xcom("train", "run_id")
    assert docker_objects(run_id) == []
    files = [path for path in (store.files.local_root / "runs" / run_id).rglob("*") if path.is_file()]
    assert [path for path in files if b"s3cr3t-word" in path.read_bytes()] == []


@pytest.mark.parametrize("major", [4, 5])
def test_a_task_of_two_nodes_with_mpi_tells_lines_of_all_ranks(
    make_dag: Dag, run_dag: Dag, script: Script, store: Any, monkeypatch: pytest.MonkeyPatch, major: int
) -> None:
    from airflow_train.tasks import live_log

    if not docker("image", "ls", "-q", IMAGES[major]):
        pytest.skip(f"no image {IMAGES[major]}; bash .ci/images makes it")
    lines: list[str] = []
    monkeypatch.setattr(live_log, "_to_task_log", lambda _, text, __: lines.append(text))
    script(
        """
        from mpi4py import MPI
        world = MPI.COMM_WORLD
        print("sum", world.allreduce(world.rank), "of", world.size, "on", MPI.Get_processor_name())
        """
    )
    outcome = run_dag(
        make_dag(
            f"""
            DistributedEstimatorOperator(task_id="train", node_count=2, process_count_per_node=2,
                distributed_training={{"type": "mpi"}}, compute_target="docker", deferrable=True,
                estimator={{**{DATA}, "custom_docker_image": "{IMAGES[major]}"}})
            """
        )
    )
    record = store.record(outcome.xcom("train", "run_id"))

    assert outcome.states() == {"train": "success"}, record.verdict
    said = sorted(line.partition(" on ")[0] for line in lines)
    assert said == [f"[node {rank // 2} rank {rank}] sum 6 of 4" for rank in range(4)]
    assert len({line.partition(" on ")[2] for line in lines}) == 2
    assert sorted(record.exits) == [0, 1, 2, 3]
