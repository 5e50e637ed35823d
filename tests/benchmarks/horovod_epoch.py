"""An epoch of the example with Horovod, 2 nodes with 2 ranks each, in a run and by the same mpirun by hand.

Both take turns (`turns.py`), in containers of the same image, with each node on a processor of its own; the script
itself says how long each epoch took.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.allreduce import SAME
from tests.benchmarks.by_hand import ByHand
from tests.benchmarks.nodes import run_of_ours
from tests.benchmarks.turns import PINNED, measured

IMAGE, MAJOR = "airflow-train-test/horovod", 4
ROUNDS, EPOCHS = 8, 150
_EXAMPLE = Path(__file__).parents[2] / "dags/training/digits_horovod"
_WRAPPER = f"""{PINNED}
import runpy
runpy.run_path(os.path.join(os.path.dirname(__file__), "train.py"), run_name="__main__")
"""
#: What the script finds in place of its run.
_NO_RUN = """
class Run:
    get_context = classmethod(lambda cls: cls())
    def log(self, name, value):
        print(name, value)
"""


def measure(folder: Path) -> dict[str, Any]:
    """Medians of all epochs but each run's first."""
    for name in ("code", "by_hand"):
        shutil.copytree(_EXAMPLE, folder / name)
        (folder / name / "pinned.py").write_text(_WRAPPER, encoding="utf-8")
    (folder / "by_hand" / "train_run.py").write_text(_NO_RUN, encoding="utf-8")
    arguments = ["pinned.py", "--epochs", str(EPOCHS)]
    command = "mkdir -p /tmp/work/outputs && cd /tmp/work && exec python3 /bench/" + " ".join(arguments)
    options = ("--mca", "mpi_yield_when_idle", "1", *SAME[MAJOR])

    def ours() -> list[float]:
        run = run_of_ours(folder, 2, IMAGE, ["python3", *arguments], per_node=2)
        return _without_first(run.get_metrics("epoch_seconds")["epoch_seconds"])

    def by_hand() -> list[float]:
        said = ByHand(folder / "by_hand", 2, IMAGE, MAJOR).run(["sh", "-c", command], 2, options)
        return _without_first(
            [line.split()[1] for line in said.splitlines() if line.startswith("epoch_seconds")]
        )

    return measured(ours, by_hand, ROUNDS)


def _without_first(seconds: Sequence[Any]) -> list[float]:
    assert len(seconds) == EPOCHS, seconds
    return [float(one) for one in seconds[1:]]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(measure(Path(home)), indent=2))
