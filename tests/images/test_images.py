"""The images of `docker/` train what they are for, as a user who isn't root, and hold nothing that isn't needed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from airflow_train import Estimator, Experiment, MpiConfiguration, PyTorch, PyTorchConfiguration, SKLearn
from tests.targets.lab import docker, docker_objects

pytestmark = [pytest.mark.docker]

NAMES = ("runtime", "sklearn", "pytorch", "mpi", "horovod", "airflow")
#: uid of every image's user: that of apache/airflow
UID = 50000

#: in place of whose public base CI builds it, where that isn't Python's
BASES = {"horovod": "base"}
NODES = {"distributed_training": MpiConfiguration(process_count_per_node=2), "node_count": 2}

Named = Callable[[str], str]


def facts(shipped: Named, name: str) -> dict[str, Any]:
    """What the engine knows of an image."""
    found: dict[str, Any] = json.loads(docker("image", "inspect", shipped(name)))[0]
    return found


@pytest.mark.parametrize(
    ("name", "estimator", "more", "output"),
    [
        ("runtime", Estimator, {}, "slope"),
        ("sklearn", SKLearn, {}, "model.joblib"),
        (
            "pytorch",
            PyTorch,
            {"distributed_training": PyTorchConfiguration(), "process_count_per_node": 2},
            "model.pt",
        ),
        ("mpi", Estimator, NODES, "line.npy"),
        ("horovod", PyTorch, NODES, "model.pt"),
    ],
)
@pytest.mark.parametrize("user", [None, "12345:0"], ids=["its user", "any uid"])
def test_an_estimator_trains_in_its_image_on_a_read_only_root(
    shipped: Named,
    sources: Path,
    store_uri: str,
    name: str,
    estimator: Any,
    more: Any,
    output: str,
    user: str | None,
) -> None:
    target = {"type": "docker", "image": shipped(name), "read_only": True} | ({"user": user} if user else {})
    definition = estimator(source_directory=str(sources / f"image_{name}"), entry_script="train.py", **more)
    run = Experiment("images", store=store_uri).submit(definition, compute_target=target)
    run.wait_for_completion(show_output=False)

    metrics = run.get_metrics()
    assert f"outputs/{output}" in run.get_file_names()
    assert metrics.pop("uid") == (12345 if user else UID)
    assert GOOD[name](metrics), metrics
    assert docker_objects(run.id) == []


GOOD: dict[str, Callable[[dict[str, Any]], bool]] = {
    "runtime": lambda metrics: metrics == {"slope": 2.0},
    "sklearn": lambda metrics: metrics["accuracy"] > 0.9,
    "pytorch": lambda metrics: metrics["improved"] < 0.5 and metrics["ranks"] == 2,
    "mpi": lambda metrics: abs(metrics["slope"] - 2) < 0.01 and metrics["ranks"] == 4,
    "horovod": lambda metrics: metrics["accuracy"] > 0.9 and metrics["ranks"] == 4 and metrics["apart"] == 0,
}


@pytest.mark.parametrize("user", [f"{UID}:0", "12345:0"], ids=["its user", "any uid"])
def test_airflow_starts_in_its_image_and_finds_the_operators_and_the_target(
    shipped: Named, user: str
) -> None:
    ask = (
        "from airflow_train.operators import EstimatorOperator, RegisterModelOperator;"
        "from airflow_train.sensors import RunSensor; from airflow_train import targets;"
        "targets.get({'name': 'd', 'type': 'docker', 'options': {}}); import docker;"
        "from airflow.providers_manager import ProvidersManager as P; print(*P().providers)"
    )
    command = [
        "run",
        "--rm",
        "--network=none",
        "--cap-drop=ALL",
        "--user",
        user,
        shipped("airflow"),
        "sh",
        "-c",
    ]
    said = docker(*command, f'airflow version && python3 -c "{ask}"')

    assert metadata.version("apache-airflow") in said.splitlines()
    assert "airflow-train" in said.split()


@pytest.mark.parametrize("name", NAMES)
def test_an_image_belongs_to_a_user_who_is_not_root_and_says_what_it_is(shipped: Named, name: str) -> None:
    configuration = facts(shipped, name)["Config"]

    assert configuration["User"] == f"{UID}:0"
    assert configuration["Labels"]["org.opencontainers.image.title"] == f"airflow-train/{name}"
    assert configuration["Labels"]["org.opencontainers.image.description"]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_holds_no_package_lists_no_caches_and_nothing_that_anybody_may_change(
    shipped: Named, name: str
) -> None:
    look = (
        "ls -A /var/lib/apt/lists /root/.cache /tmp 2>/dev/null | grep -v :$;"
        "find /var/cache/apt -size +1M; find / -xdev -type f -perm -o+w -not -path '/proc/*'"
    )
    assert (
        docker("run", "--rm", "--network=none", "--user=0", shipped(name), "sh", "-c", f"({look}) || true")
        == ""
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_size_of_an_image_is_what_its_readme_says(shipped: Named, repository: Path, name: str) -> None:
    table = (repository / "docker" / "README.md").read_text(encoding="utf-8")
    said = re.search(rf"^\| \[?`?{name}\b.*?\| (\d+) MB ", table, re.MULTILINE)
    bare = facts(shipped, BASES.get(name, "python"))["Size"]

    assert said is not None
    assert int(said[1]) == pytest.approx((facts(shipped, name)["Size"] - bare) / 1e6, rel=0.15, abs=1)
