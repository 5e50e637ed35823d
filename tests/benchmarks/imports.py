"""What `airflow_train.operators` adds to a DAG file over `import airflow.sdk`, compiled: ≤ 10 ms, ≤ 2 MB."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

BUDGET_MS, BUDGET_MB = 10.0, 2.0
#: Never loaded by a DAG file that uses plain data: the first three cost 40–800 ms, the last costs every parse.
FORBIDDEN = ("docker", "kubernetes", "kubernetes_asyncio", "airflow_train.definitions", "airflow_train.store")

_PROBE = f"""
import json, sys, time
import airflow.sdk
def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6
size, before = rss(), time.perf_counter()
from airflow_train.operators import DistributedEstimatorOperator, EstimatorOperator, RegisterModelOperator
operators = time.perf_counter()
from airflow_train.sensors import RunSensor
done = time.perf_counter()
loaded = [name for name in {FORBIDDEN!r} if name in sys.modules]
ms = {{"ms": (operators - before) * 1e3, "sensors_ms": (done - operators) * 1e3}}
print(json.dumps({{**ms, "mb": rss() - size, "loaded": loaded}}))
"""


def measure(repeats: int = 7) -> dict[str, Any]:
    """Medians over fresh processes; `loaded` names what must not be loaded and was."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "AIRFLOW_HOME": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        runs = [_probe(environment) for _ in range(repeats + 1)][1:]  # the first one compiles
    found = {
        name: round(statistics.median(run[name] for run in runs), 2) for name in ("ms", "sensors_ms", "mb")
    }
    return {**found, "loaded": runs[0]["loaded"], "budget_ms": BUDGET_MS, "budget_mb": BUDGET_MB}


def _probe(environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-c", _PROBE]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=300)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
