"""EstimatorOperator on local over a `@task` that calls `subprocess.run` on the same script: ≤ 0.15 s added.

Both through `dag.test()`, warm, taking turns, in a process and an Airflow home of their own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from importlib import util
from pathlib import Path
from typing import Any

BUDGET_SECONDS = 0.15

_SCRIPT = """
import time
for step in range(10):
    print("step", step)
    time.sleep(0.05)
"""

_DAGS = """
import subprocess, sys
from pathlib import Path
from airflow.sdk import DAG, task
from airflow_train.operators import EstimatorOperator

with DAG("operator", schedule=None) as operator:
    EstimatorOperator(
        task_id="train",
        estimator={"type": "Estimator", "source_directory": "code", "entry_script": "train.py"},
        compute_target="local",
    )

with DAG("bare", schedule=None) as bare:
    @task
    def train():
        subprocess.run([sys.executable, "train.py"], cwd=Path(__file__).parent / "code", check=True)
    train()
"""


def measure(folder: Path, repeats: int = 9) -> dict[str, Any]:
    """Medians in seconds of both, and what the operator adds; `folder` is for an Airflow home and a run store."""
    dags = folder / "dags"
    (dags / "code").mkdir(parents=True)
    (dags / "code" / "train.py").write_text(_SCRIPT, encoding="utf-8")
    (dags / "benchmark.py").write_text(_DAGS, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    airflow = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(airflow, env=environment, check=True, capture_output=True, timeout=300)
    command = [sys.executable, __file__, str(dags / "benchmark.py"), str(repeats)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=600)
    times: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "operator_seconds": round(medians["operator"], 3),
        "bare_seconds": round(medians["bare"], 3),
        "added_seconds": round(medians["operator"] - medians["bare"], 3),
        "budget_seconds": BUDGET_SECONDS,
        "repeats": repeats,
    }


def _run(path: Path, repeats: int) -> dict[str, list[float]]:
    spec = util.spec_from_file_location("benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    times: dict[str, list[float]] = {"operator": [], "bare": []}
    for number in range(repeats + 2):
        for name, values in times.items():
            began = time.perf_counter()
            state = getattr(module, name).test().state
            if state != "success":
                raise SystemExit(f"{name} ended as {state}")
            if number >= 2:  # the first two warm up
                values.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(_run(Path(sys.argv[1]), int(sys.argv[2]))))
    else:
        import tempfile

        with tempfile.TemporaryDirectory() as home:
            print(json.dumps(measure(Path(home)), indent=2))
