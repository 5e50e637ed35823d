"""Fits a line to points of which every rank has some, as whoever the image says."""

import os

import numpy as np
from mpi4py import MPI
from train_run import Run

world = MPI.COMM_WORLD
draw = np.random.default_rng(world.rank)
points = draw.uniform(size=1000)
sums = np.array([points @ points, points @ (2 * points + draw.normal(scale=0.01, size=1000))])
world.Allreduce(MPI.IN_PLACE, sums)
if world.rank == 0:
    run = Run.get_context()
    run.log("slope", sums[1] / sums[0])
    run.log("ranks", world.size)
    run.log("uid", os.getuid())
    np.save("outputs/line.npy", sums)
