"""Runs of several nodes on docker beside what a bare script does: from the submit to the end, removal included.

`mpirun hostname` on 4 and on 16 nodes, by a plain agent and by ssh (`by_hand.py`), taking turns; and how long after the
last container's start the first collective of mpi4py has been passed.

Means are compared: who connects to a container while its network comes up loses a packet, and with it a second until
TCP sends it again. By hand and by ssh that happens in up to half of the tries, where a median is luck.

python tests/benchmarks/nodes.py [nodes …]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from airflow_train import Experiment, Run
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.targets.docker import plan
from tests.benchmarks.by_hand import ByHand, Hung, with_ssh
from tests.runtime.crowd import IMAGES

#: How many nodes, how often.
REPEATS = {4: 15, 16: 6}
#: Debian stable's is older by one major version; both start daemons in their own way.
MAJORS = (4, 5)
_FIRST = "import time\nfrom mpi4py import MPI\nMPI.COMM_WORLD.Barrier()\nprint(time.time())\n"


def measure(folder: Path, sizes: Sequence[int] = tuple(REPEATS)) -> dict[str, Any]:
    """Means in seconds; of both versions of Open MPI the worse of each figure that has a budget."""
    (folder / "code").mkdir()
    (folder / "code" / "train.py").write_text(_FIRST, encoding="utf-8")
    found = {f"{n}_nodes_openmpi{major}": _measure(folder, n, major) for n in sizes for major in MAJORS}
    for nodes in sizes:
        both = [found[f"{nodes}_nodes_openmpi{major}"] for major in MAJORS]
        for key in ("times_by_hand", "times_by_ssh", "first_collective"):
            found[f"{key}_{nodes}"] = max(one[key] for one in both)
    return found


def _measure(folder: Path, nodes: int, major: int) -> dict[str, Any]:
    hostname = ["hostname"]

    def ours() -> list[str]:
        return said_by_ranks(folder, run_of_ours(folder, nodes, IMAGES[major], hostname), nodes)

    def by_hand(image: str, *, ssh: bool) -> list[str]:
        return ByHand(folder, nodes, image, major, ssh=ssh).run(hostname).split()

    with_sshd = with_ssh(major)
    ways: dict[str, Callable[[], float]] = {
        "ours": lambda: _taken(ours, nodes),
        "by_hand": lambda: _taken(lambda: by_hand(IMAGES[major], ssh=False), nodes),
        "by_ssh": lambda: _taken(lambda: by_hand(with_sshd, ssh=True), nodes),
        "first_collective": lambda: _first_collective(folder, nodes, IMAGES[major]),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    hung = dict.fromkeys(("by_hand", "by_ssh"), 0)
    for number in range(REPEATS[nodes] + 1):
        for name, way in ways.items():
            try:
                seconds = way()
            except Hung:  # which isn't held against it
                hung[name] += 1
                continue
            if number:  # the first one warms up
                times[name].append(seconds)
    means = {name: mean(values) for name, values in times.items()}
    return {
        "times_by_hand": round(means["ours"] / means["by_hand"], 2),
        "times_by_ssh": round(means["ours"] / means["by_ssh"], 2),
        "first_collective": round(means["first_collective"], 2),
        "hung": hung,
        "seconds": {name: [round(one, 2) for one in values] for name, values in times.items()},
    }


def _taken(call: Callable[[], list[str]], nodes: int) -> float:
    began = time.perf_counter()
    said = call()
    seconds = time.perf_counter() - began
    assert len(set(said)) == nodes, said
    return seconds


def run_of_ours(folder: Path, nodes: int, image: str, command: Sequence[str], per_node: int = 1) -> Run:
    """A run on docker of a command in the code of `folder/code`, when it has ended."""
    definition = {
        "type": "ScriptRunConfig",
        "source_directory": str(folder / "code"),
        "command": list(command),
        "distributed_job_config": {"type": "mpi", "node_count": nodes, "process_count_per_node": per_node},
    }
    target = {"type": "docker", "image": image}
    run = Experiment("bench", str(folder / "store")).submit(definition, compute_target=target)
    run.wait_for_completion()
    return run


def said_by_ranks(folder: Path, run: Run, ranks: int) -> list[str]:
    """The last line of each rank."""
    logs = [folder / "store" / layout.run(run.id) / protocol.rank_log(rank) for rank in range(ranks)]
    return [log.read_text(encoding="utf-8").splitlines()[-1].partition(" ")[2] for log in logs]


def _first_collective(folder: Path, nodes: int, image: str) -> float:
    """Seconds from the start of the last container."""
    with (folder / "events").open("w+", encoding="utf-8") as events:
        command = ["docker", "events", "--filter", f"label={plan.NODE_LABEL}", "--filter", "event=start"]
        listener = subprocess.Popen([*command, "--format", "{{.TimeNano}}"], stdout=events)
        try:
            run = run_of_ours(folder, nodes, image, ["python3", "train.py"])
        finally:
            listener.terminate()
            listener.wait()
        events.seek(0)
        started = [int(line) / 1e9 for line in events]
    assert len(started) == nodes, started
    return max(map(float, said_by_ranks(folder, run, nodes))) - max(started)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(measure(Path(home), [int(one) for one in sys.argv[1:]] or (4, 16)), indent=2))
