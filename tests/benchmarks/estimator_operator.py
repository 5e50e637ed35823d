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
from collections.abc import Mapping, Sequence
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
    medians = in_airflow(folder, _DAGS, {"train.py": _SCRIPT}, ("operator", "bare"), repeats)
    return {
        "operator_seconds": round(medians["operator"], 3),
        "bare_seconds": round(medians["bare"], 3),
        "added_seconds": round(medians["operator"] - medians["bare"], 3),
        "budget_seconds": BUDGET_SECONDS,
        "repeats": repeats,
    }


def in_airflow(
    folder: Path, text: str, code: Mapping[str, str], names: Sequence[str], repeats: int
) -> dict[str, float]:
    """Medians in seconds of what a DAG file names: `test()` of a DAG, or a call of something else.

    :param folder: for an Airflow home.
    :param code: files of the folder `code` beside the DAG file.
    """
    dags = folder / "dags"
    (dags / "code").mkdir(parents=True)
    for name, content in code.items():
        (dags / "code" / name).write_text(content, encoding="utf-8")
    (dags / "benchmark.py").write_text(text, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    airflow = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(airflow, env=environment, check=True, capture_output=True, timeout=300)
    command = [sys.executable, __file__, str(dags / "benchmark.py"), str(repeats), *names]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=600)
    times: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return {name: statistics.median(values) for name, values in times.items()}


def _run(path: Path, repeats: int, names: Sequence[str]) -> dict[str, list[float]]:
    spec = util.spec_from_file_location("benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(repeats + 2):
        for name, values in times.items():
            began = time.perf_counter()
            found = getattr(module, name)
            state = found.test().state if hasattr(found, "test") else found()
            if state != "success":
                raise SystemExit(f"{name} ended as {state}")
            if number >= 2:  # the first two warm up
                values.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    if len(sys.argv) > 3:
        print(json.dumps(_run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
    else:
        import tempfile

        with tempfile.TemporaryDirectory() as home:
            print(json.dumps(measure(Path(home)), indent=2))
