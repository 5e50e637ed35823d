"""An epoch of the example with Horovod, 2 nodes with 2 ranks each, in a run and by the same mpirun by hand.

Both take turns, in containers of the same image; the script itself says how long each epoch took.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.allreduce import SAME
from tests.benchmarks.by_hand import ByHand
from tests.benchmarks.nodes import run_of_ours

IMAGE, MAJOR = "airflow-train-test/horovod", 4
ROUNDS, EPOCHS = 5, 30
_EXAMPLE = Path(__file__).parents[2] / "dags/training/digits_horovod"
#: What the script finds in place of its run.
_NO_RUN = """
class Run:
    get_context = classmethod(lambda cls: cls())
    def log(self, name, value):
        print(name, value)
"""


def measure(folder: Path) -> dict[str, Any]:
    """Medians of all epochs but each round's first, in seconds."""
    shutil.copytree(_EXAMPLE, folder / "code")
    shutil.copytree(_EXAMPLE, folder / "by_hand")
    (folder / "by_hand" / "train_run.py").write_text(_NO_RUN, encoding="utf-8")
    command = ["python3", "train.py", "--epochs", str(EPOCHS)]
    by_hand = "mkdir -p /tmp/work/outputs && cd /tmp/work && exec python3 /bench/" + " ".join(command[1:])
    times: dict[str, list[float]] = {"ours": [], "by_hand": []}
    for _ in range(ROUNDS):
        run = run_of_ours(folder, 2, IMAGE, command, per_node=2)
        times["ours"] += [float(one) for one in run.get_metrics("epoch_seconds")["epoch_seconds"][1:]]
        options = ("--mca", "mpi_yield_when_idle", "1", *SAME[MAJOR])
        said = ByHand(folder / "by_hand", 2, IMAGE, MAJOR).run(["sh", "-c", by_hand], 2, options)
        found = [line.split()[1] for line in said.splitlines() if line.startswith("epoch_seconds")]
        times["by_hand"] += [float(one) for one in found[1:]]
    assert len(times["ours"]) == len(times["by_hand"]) == ROUNDS * (EPOCHS - 1), times
    ours, hand = (median(times[name]) for name in ("ours", "by_hand"))
    return {"times_by_hand": round(ours / hand, 3), "ours": round(ours, 4), "by_hand": round(hand, 4)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(measure(Path(home)), indent=2))
