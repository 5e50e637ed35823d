"""Finds the centres of clusters by k-means; every rank has points of its own, and MPI adds up what they say."""

from __future__ import annotations

import numpy as np
from mpi4py import MPI
from train_run import Run

POINTS, CLUSTERS = 50_000, 5
TRUE = np.array([[0, 0], [8, 1], [1, 9], [9, 9], [-7, 5]], dtype=float)

world = MPI.COMM_WORLD
draw = np.random.default_rng(world.rank)
points = TRUE[draw.integers(CLUSTERS, size=POINTS)] + draw.normal(size=(POINTS, 2))

# rank 0 begins with points that are far from each other
centres = points[:1]
while len(centres) < CLUSTERS:
    distances = np.linalg.norm(points[:, None] - centres, axis=2).min(axis=1)
    centres = np.vstack([centres, points[distances.argmax()]])
world.Bcast(centres, root=0)

run, moved = Run.get_context(), np.inf
while moved > 1e-6:
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(axis=1)
    # per cluster the sum of its points and how many they are, of all ranks
    sums = np.stack(
        [[*points[nearest == one].sum(axis=0), (nearest == one).sum()] for one in range(CLUSTERS)]
    )
    world.Allreduce(MPI.IN_PLACE, sums)
    before, centres = centres, sums[:, :2] / sums[:, 2:]
    moved = np.linalg.norm(centres - before, axis=1).max()
    if world.rank == 0:
        run.log("moved", moved)

print(f"rank {world.rank} of {world.size} on {MPI.Get_processor_name()}: {np.bincount(nearest)} points")
if world.rank == 0:
    error = max(np.linalg.norm(centres - one, axis=1).min() for one in TRUE)
    run.log("ranks", world.size)
    run.log("points", sums[:, 2].sum())
    run.log("error", error)
    np.save("outputs/centres.npy", centres)
