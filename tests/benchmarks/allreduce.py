"""64 MB summed up over 4 ranks on 2 nodes: in a run, and by the same mpirun by hand in containers of the same image.

Both take turns (`turns.py`), with each node on a processor of its own.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.by_hand import ByHand
from tests.benchmarks.nodes import MAJORS, run_of_ours, said_by_ranks
from tests.benchmarks.turns import PINNED, measured
from tests.runtime.crowd import IMAGES

ROUNDS = 12
#: Of ours: what is told to the mpirun by hand, too.
SAME = {
    4: ("--mca", "btl", "self,vader,tcp", "--mca", "btl_vader_single_copy_mechanism", "none"),
    5: ("--mca", "btl", "self,sm,tcp", "--mca", "smsc", "^cma"),
}
#: The first sum of each run makes connections.
_SCRIPT = (
    PINNED
    + """
import time
import numpy
from mpi4py import MPI
world = MPI.COMM_WORLD
mine, all = numpy.ones(64 * 10**6 // 4, "f4"), numpy.empty(64 * 10**6 // 4, "f4")
times = []
for number in range(61):
    world.Barrier()
    began = time.perf_counter()
    world.Allreduce(mine, all)
    times.append(time.perf_counter() - began)
assert all[0] == all[-1] == world.size == 4
slowest = numpy.empty(len(times) - 1)
world.Allreduce(numpy.array(times[1:]), slowest, MPI.MAX)
print(*slowest, sep=",")
"""
)


def measure(folder: Path) -> dict[str, Any]:
    """By both versions of Open MPI: each run's median in seconds, and of the worse one `times_by_hand`."""
    (folder / "code").mkdir()
    (folder / "code" / "train.py").write_text(_SCRIPT, encoding="utf-8")
    found: dict[str, Any] = {f"openmpi{major}": _measure(folder, major) for major in MAJORS}
    return {**found, "times_by_hand": max(one["times_by_hand"] for one in found.values())}


def _measure(folder: Path, major: int) -> dict[str, Any]:
    options = ("--mca", "mpi_yield_when_idle", "1", *SAME[major])

    def ours() -> list[float]:
        run = run_of_ours(folder, 2, IMAGES[major], ["python3", "train.py"], per_node=2)
        return _seconds(said_by_ranks(folder, run, 1)[0])

    def by_hand() -> list[float]:
        hand = ByHand(folder / "code", 2, IMAGES[major], major)
        return _seconds(hand.run(["python3", "/bench/train.py"], per_node=2, options=options).split()[0])

    return measured(ours, by_hand, ROUNDS)


def _seconds(said: str) -> list[float]:
    """Of each sum of a run, until its last rank had it."""
    return [float(one) for one in said.split(",")]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(measure(Path(home)), indent=2))
