"""Minimises a bowl by gradient descent, with nothing but the standard library."""

from __future__ import annotations

import argparse

from train_run import Run

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, required=True)
rate = parser.parse_args().rate

run = Run.get_context()
x, y = 4.0, -3.0
for _ in range(20):
    x, y = x - rate * 2 * x, y - rate * 2 * y
    run.log("loss", x * x + y * y)
run.log("rate", rate)
print(f"rate {rate}: ended at ({x:.4f}, {y:.4f})")
