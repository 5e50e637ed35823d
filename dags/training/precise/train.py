"""Finds the one weight that fits data made by exp, by Newton's method, with more digits than a float has."""

from __future__ import annotations

import argparse

import mpmath
from train_run import Run

parser = argparse.ArgumentParser()
parser.add_argument("--digits", type=int, required=True)
mpmath.mp.dps = digits = parser.parse_args().digits

run = Run.get_context()
data = [(mpmath.mpf(x) / 10, mpmath.exp(mpmath.mpf(x) / 20)) for x in range(1, 11)]
weight = mpmath.mpf(1)
for _ in range(8):
    errors = [(x, mpmath.exp(weight * x), y) for x, y in data]
    slope = sum((guess - y) * x * guess for x, guess, y in errors)
    bend = sum(x * x * guess * (2 * guess - y) for x, guess, y in errors)
    weight -= slope / bend
    run.log("loss", float(sum((guess - y) ** 2 for _, guess, y in errors)))
error = abs(weight - mpmath.mpf(1) / 2)
run.log("digits", digits)
run.log("right_digits", digits if error == 0 else int(-mpmath.log10(error)))
run.tag("mpmath", mpmath.__version__)
print(f"the weight is {mpmath.nstr(weight, digits)}")
