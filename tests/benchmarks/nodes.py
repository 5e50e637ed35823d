"""Time until the first collective of several containers has been passed, and until all is over.

python tests/benchmarks/nodes.py [nodes] [tries] [major version of Open MPI]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))

from airflow_train.runtime import protocol
from tests.runtime.crowd import IMAGES, Containers, closing, docker

FIRST = "import time\nfrom mpi4py import MPI\nMPI.COMM_WORLD.Barrier()\nprint(time.time())\n"


def measure(nodes: int, major: int) -> dict[str, float]:
    """Seconds of one run with a rank in each container; counted from the start of the last one, but for `whole`."""
    with tempfile.TemporaryDirectory() as folder:
        made = Containers(Path(folder), nodes, FIRST, IMAGES[major], distribution={"type": "mpi"})
        with closing(made) as crowd:
            crowd.create()
            names = [f"{crowd.name}-{node}" for node in range(nodes)]
            began = time.time()
            with ThreadPoolExecutor(nodes) as starters:
                list(starters.map(lambda name: docker("start", name), names))
            crowd.wait(timeout=120)
            whole = time.time() - began
            last = max(started(name) for name in names)
            first = max(float(crowd.lines(rank)[0]) for rank in range(nodes))
            ranks = max(protocol.seconds_of(one["started"]) for one in crowd.exits().values())
            return {"ranks": ranks - last, "first_collective": first - last, "whole": whole}


def started(name: str) -> float:
    """When the engine says that a container has started."""
    stamp = docker("inspect", "-f", "{{.State.StartedAt}}", name)
    return protocol.seconds_of(f"{stamp[:23]}Z")


def main() -> None:
    nodes, tries, major = (
        int(sys.argv[n]) if len(sys.argv) > n else given for n, given in ((1, 4), (2, 3), (3, 4))
    )
    found = [measure(nodes, major) for _ in range(tries)]
    print(json.dumps({name: [round(one[name], 2) for one in found] for name in found[0]}))
    print("median", {name: round(median(one[name] for one in found), 2) for name in found[0]})


if __name__ == "__main__":
    main()
