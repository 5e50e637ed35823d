"""`docker/compose.yaml` starts an Airflow whose tasks train in containers beside it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.airflow_live.rest import Rest, until
from tests.targets.lab import docker, docker_objects

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600), pytest.mark.xdist_group("airflow_live")]

#: Seconds; Airflow's five processes share what processors there are with all other tests.
PATIENCE = 240
SOCKET = Path("/var/run/docker.sock")
PROJECT = f"airflow-train-test-{os.getpid()}"


@pytest.fixture
def compose(shipped: Callable[[str], str], repository: Path, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Runs `docker compose` with the images that are there, on a free port and in a project of its own."""
    airflow, sklearn = shipped("airflow"), shipped("sklearn")
    if not SOCKET.exists():
        pytest.skip(f"no engine on this machine at {SOCKET}, which compose.yaml mounts")
    targets = tmp_path / "targets.yaml"
    targets.write_text(f"docker: {{type: docker, image: {sklearn}}}\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environment = {
        **os.environ,
        "AIRFLOW_PORT": port,
        "DOCKER_GID": str(SOCKET.stat().st_gid),
        "TRAIN_IMAGES": airflow.rpartition("/")[0],
        "TRAIN_TARGETS": str(targets),
    }
    command = [*_command(), "-f", str(repository / "docker" / "compose.yaml"), "-p", PROJECT]

    def run(*words: str) -> str:
        done = subprocess.run(
            [*command, *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    try:
        yield run
    finally:
        run("down", "--volumes", "--timeout", "5")


def _command() -> list[str]:
    """The compose that there is: the client's own, or the one that `.ci/compose` has made."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    made = Path("~/.cache/airflow-train/ci/docker-compose").expanduser()
    if not made.exists():
        pytest.skip("no docker compose; bash .ci/compose makes one")
    return [str(made)]


def test_the_example_runs_in_a_container_and_its_model_is_registered(compose: Callable[..., str]) -> None:
    compose("up", "--no-build", "--detach")
    address = f"http://{compose('port', 'airflow', '8080')}"
    container = compose("ps", "--quiet", "airflow")

    def healthy() -> bool:
        return docker("inspect", "-f", "{{.State.Health.Status}}", container) == "healthy"

    until(healthy, PATIENCE, what=lambda: docker("logs", "--tail", "50", container))
    with Rest(address) as rest:
        until(lambda: "train_in_docker" in {one["dag_id"] for one in rest.get("/dags", limit=100)["dags"]})
        assert rest.get("/importErrors")["import_errors"] == []
        rest.patch("/dags/train_in_docker", is_paused=False)
        run = rest.trigger("train_in_docker")
        until(lambda: run.state() in ("success", "failed"), PATIENCE, what=run.__str__)
        run.wait()
        run_id = run.xcom("train", "run_id")
        assert run.xcom("train", "metrics")["accuracy"] > 0.9
        assert run.xcom("register")["version"] == 1
        assert "accuracy 0.99" in run.text("train")
    assert docker_objects(run_id) == []
    assert run_id in docker("exec", container, "airflow-train", "runs", "list")
    assert docker("exec", container, "id", "-u") == "50000"
