"""`make demo`: trains handwritten digits over a grid of parameters, registers the best model, loads it back.

No service, no Airflow set-up: runs are processes of this machine, everything they leave lies in one folder.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
STORE = os.environ.get("AIRFLOW_TRAIN_STORE") or str(REPOSITORY / "build" / "demo")
GRID = list(itertools.product((0.1, 1.0, 10.0), (0.0005, 0.001, 0.002)))
#: Runs at a time: one for each core, as each trains on one.
AT_ONCE = os.cpu_count() or 1


def main() -> int:
    """Run the demo; the exit code is 1 when the model that comes back isn't the one that was trained."""
    import joblib
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    from airflow_train import Experiment, Model, Run, SKLearn

    began = time.monotonic()
    experiment = Experiment("digits", store=STORE)
    print(f"Training {len(GRID)} models, {AT_ONCE} at a time; everything goes to {STORE}\n")
    runs: list[Run] = []
    for number, (c, gamma) in enumerate(GRID):
        if number >= AT_ONCE:
            runs[number - AT_ONCE].wait_for_completion()
        estimator = SKLearn(
            source_directory=str(REPOSITORY / "dags" / "training" / "digits"),
            entry_script="train.py",
            script_params={"--c": c, "--gamma": gamma},
            environment_variables={"OMP_NUM_THREADS": "1"},
        )
        runs.append(experiment.submit(estimator, tags={"c": str(c), "gamma": str(gamma)}))

    print(f"{'run':40} {'C':>6} {'gamma':>8} {'accuracy':>9}")
    for run in runs:
        run.wait_for_completion()
        c, gamma = run.tags["c"], run.tags["gamma"]
        print(f"{run.id:40} {c:>6} {gamma:>8} {run.get_metrics()['accuracy']:9.4f}")

    best = max(runs, key=lambda run: run.get_metrics()["accuracy"])
    model = best.register_model("digits", "outputs/model.joblib", model_framework="ScikitLearn")
    print(f"\nRegistered {model.id} from run {best.id}")

    folder = Model("digits", store=STORE).download(str(Path(STORE) / "downloaded"), exist_ok=True)
    found = next(Path(folder).rglob("*.joblib")) if Path(folder).is_dir() else Path(folder)
    images, labels = load_digits(return_X_y=True)
    _, x_test, _, y_test = train_test_split(images, labels, test_size=0.3, random_state=0)
    accuracy = joblib.load(found).score(x_test, y_test)
    print(f"Loaded back, it reads {accuracy:.1%} of {len(y_test)} digits it has never seen.")
    print(f"That took {time.monotonic() - began:.1f} s. Look around:\n")
    command = f"AIRFLOW_TRAIN_STORE={STORE} .venv/bin/airflow-train"
    print(f"  {command} runs list\n  {command} runs show {best.id}\n  {command} models list")
    return 0 if accuracy == best.get_metrics()["accuracy"] else 1


if __name__ == "__main__":
    sys.exit(main())
