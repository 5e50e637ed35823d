"""EstimatorOperator on docker, with code staged and outputs collected, beside what people have without it.

Warm, taking turns, in one process with an Airflow home of its own: at most 1.25 × (`docker run` of the same script plus
a task that does nothing), and at most 0.15 s more than DockerOperator, which stages and collects nothing.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.estimator_operator import in_airflow

_SCRIPT = """
import os, time
for step in range(10):
    print("step", step)
    time.sleep(0.05)
os.makedirs("outputs", exist_ok=True)
with open("outputs/model", "w") as file:
    file.write("model")
"""

_DAGS = """
import subprocess
from pathlib import Path
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import DAG, task
from airflow_train.operators import EstimatorOperator
from docker.types import Mount

IMAGE = "airflow-train-test/base"
CODE = str(Path(__file__).parent / "code")

with DAG("ours", schedule=None) as ours:
    EstimatorOperator(
        task_id="train",
        estimator={
            "type": "Estimator",
            "source_directory": "code",
            "entry_script": "train.py",
            "custom_docker_image": IMAGE,
        },
        compute_target="docker",
    )

with DAG("theirs", schedule=None) as theirs:
    DockerOperator(
        task_id="train",
        image=IMAGE,
        command=["python3", "/code/train.py"],
        mounts=[Mount(source=CODE, target="/code", type="bind", read_only=True)],
        mount_tmp_dir=False,
        auto_remove="success",
    )

with DAG("bare", schedule=None) as bare:
    @task
    def nothing():
        pass
    nothing()

def run():
    command = ["docker", "run", "--rm", "-v", f"{CODE}:/code:ro", IMAGE, "python3", "/code/train.py"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return "success"
"""


def measure(folder: Path, repeats: int = 9) -> dict[str, Any]:
    """Medians in seconds; `times_docker_run` of bare task and `docker run`, `added_seconds` over DockerOperator."""
    found = in_airflow(folder, _DAGS, {"train.py": _SCRIPT}, ("ours", "bare", "run", "theirs"), repeats)
    return {
        **{f"{name}_seconds": round(seconds, 3) for name, seconds in found.items()},
        "times_docker_run": round(found["ours"] / (found["bare"] + found["run"]), 3),
        "added_seconds": round(found["ours"] - found["theirs"], 3),
        "repeats": repeats,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(measure(Path(home), *map(int, sys.argv[1:])), indent=2))
