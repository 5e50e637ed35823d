"""64 MB summed up over 4 ranks on 2 nodes: in a run, and by the same mpirun by hand in containers of the same image.

Both take turns. A node's ranks stay on one processor, as if each node were a machine with one: left alone, four ranks
on two processors are moved a few times in a run, and a sum takes 0.14 s while a node's ranks are together and 0.2 s
otherwise, whoever starts them. By which of these a run happens to live, the ratio of hundreds of sums was 1.00 one
time and 1.14 another. Its standard error, over the pairs of runs, is told.
"""

from __future__ import annotations

import json
import random
import tempfile
from itertools import chain
from pathlib import Path
from statistics import median, stdev
from typing import Any

from tests.benchmarks.by_hand import ByHand, Hung
from tests.benchmarks.nodes import MAJORS, run_of_ours, said_by_ranks
from tests.runtime.crowd import IMAGES

ROUNDS = 12
#: Of ours: what is told to the mpirun by hand, too.
SAME = {
    4: ("--mca", "btl", "self,vader,tcp", "--mca", "btl_vader_single_copy_mechanism", "none"),
    5: ("--mca", "btl", "self,sm,tcp", "--mca", "smsc", "^cma"),
}
#: The first sum of each run makes connections.
_SCRIPT = """
import os
import time
import numpy
from mpi4py import MPI
world = MPI.COMM_WORLD
processors = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, {processors[world.rank // 2 % len(processors)]})
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


def measure(folder: Path) -> dict[str, Any]:
    """By both versions of Open MPI: each run's median in seconds, and of the worse one `times_by_hand`."""
    (folder / "code").mkdir()
    (folder / "code" / "train.py").write_text(_SCRIPT, encoding="utf-8")
    found: dict[str, Any] = {f"openmpi{major}": _measure(folder, major) for major in MAJORS}
    return {**found, "times_by_hand": max(one["times_by_hand"] for one in found.values())}


def _measure(folder: Path, major: int) -> dict[str, Any]:
    options = ("--mca", "mpi_yield_when_idle", "1", *SAME[major])

    def ours() -> str:
        run = run_of_ours(folder, 2, IMAGES[major], ["python3", "train.py"], per_node=2)
        return said_by_ranks(folder, run, 1)[0]

    def by_hand() -> str:
        hand = ByHand(folder / "code", 2, IMAGES[major], major)
        return hand.run(["python3", "/bench/train.py"], per_node=2, options=options).split()[0]

    pairs: list[tuple[list[float], list[float]]] = []
    hung = 0
    while len(pairs) < ROUNDS:
        try:
            first = _seconds(by_hand()) if len(pairs) % 2 else None
            mine = _seconds(ours())
            pairs.append((mine, first or _seconds(by_hand())))
        except Hung:  # which isn't held against it
            hung += 1
            if hung == ROUNDS:
                raise
    again = random.Random(0)
    ratios = [_ratio(again.choices(pairs, k=ROUNDS)) for _ in range(1000)]
    return {
        "times_by_hand": round(_ratio(pairs), 3),
        "standard_error": round(stdev(ratios), 3),
        "hung": hung,
        "seconds": {
            name: [round(median(pair[which]), 3) for pair in pairs]
            for which, name in enumerate(("ours", "by_hand"))
        },
    }


def _ratio(pairs: list[tuple[list[float], list[float]]]) -> float:
    """Median of all sums of ours over that of all by hand."""
    return median(chain(*(mine for mine, _ in pairs))) / median(chain(*(hand for _, hand in pairs)))


def _seconds(said: str) -> list[float]:
    """Of each sum of a run, until its last rank had it."""
    return [float(one) for one in said.split(",")]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(measure(Path(home)), indent=2))
