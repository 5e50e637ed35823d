"""Twenty losses of a container of each kind under each Open MPI: is the node named, in time, and nothing left?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.runtime.crowd import IMAGES
from tests.targets import losses
from tests.targets.lab import DOCKER, Lab, until

TRIES = int(os.environ.get("TRIES", "20"))
#: Runs at a time: two nodes with a rank each, and one that looks.
AT_ONCE = 5
JOB: Mapping[str, Any] = {"distribution": {"type": "mpi"}, "node_count": 2, "process_count_per_node": 1}


def measure() -> dict[str, Any]:
    """Of every second try the victim is node 0."""
    tries = [
        (major, how, number % 2)
        for how in losses.KINDS
        for major in sorted(IMAGES)
        for number in range(TRIES)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda one: attempt(*one), tries))
    slowest = {f"slowest_{how}_openmpi{major}": 0.0 for how in losses.KINDS for major in sorted(IMAGES)}
    for (major, how, _), (took, _) in zip(tries, found, strict=True):
        name = f"slowest_{how}_openmpi{major}"
        slowest[name] = max(slowest[name], took)
    return {
        "tries_of_each": TRIES,
        "wrong": [words for _, words in found if words],
        "slowest_seconds": max(slowest.values()),
        **slowest,
    }


def attempt(major: int, how: str, node: int) -> tuple[float, str]:
    """Seconds until the run has failed, and what was wrong about that."""
    with tempfile.TemporaryDirectory() as folder:
        target = {**DOCKER, "options": {"image": IMAGES[major]}}
        lab = Lab(str(Path(folder, "store")), Path(folder), target)
        try:
            run_id = lab.start(losses.TALK, **JOB)
            until(lambda: lab.look(run_id) and {"ready 0", "ready 1"} <= set(lab.marks(run_id)), 60)
            took, verdict = losses.lose(lab, run_id, node, how)
            lab.nothing_left(run_id, 5)
            named = (verdict.get("reason"), verdict.get("node")) == ("infrastructure", node)
            return took, "" if named else f"Open MPI {major}, {how} of node {node}: {verdict.get('message')}"
        except AssertionError as error:
            return 60.0, f"Open MPI {major}, {how} of node {node}: {error}"
        finally:
            lab.close()
