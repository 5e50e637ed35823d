"""Estimates pi with random points on every rank of MPI, and logs what all of them found together.

Where mpi4py isn't installed each rank counts for itself.
"""

from __future__ import annotations

import os
import random
import sys

from train_run import Run

POINTS = 200_000

rank = int(os.environ.get("OMPI_COMM_WORLD_RANK", "0"))
ranks = int(os.environ.get("OMPI_COMM_WORLD_SIZE", "1"))
draw = random.Random(rank).random
inside = sum(draw() ** 2 + draw() ** 2 <= 1 for _ in range(POINTS))
share = inside / POINTS
try:
    from mpi4py import MPI
except ImportError:
    print("No mpi4py here: every rank is on its own", file=sys.stderr)
else:
    share = MPI.COMM_WORLD.allreduce(inside) / (POINTS * MPI.COMM_WORLD.size)
local = os.environ.get("OMPI_COMM_WORLD_LOCAL_RANK", "0")
print(f"rank {rank} of {ranks}, {local} on its node: pi is about {4 * share:.4f}")
if rank == 0:
    run = Run.get_context()
    run.log("ranks", ranks)
    run.log("pi", 4 * share)
