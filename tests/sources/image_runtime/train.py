"""Fits a line with nothing but the standard library, as whoever the image says."""

import os
import statistics

from train_run import Run

slope, _ = statistics.linear_regression([1, 2, 3], [2, 4, 6])
run = Run.get_context()
run.log("slope", slope)
run.log("uid", os.getuid())
with open("outputs/slope", "w") as file:
    file.write(str(slope))
