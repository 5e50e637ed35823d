"""Trains a classifier of handwritten digits, logs how good it is and leaves it in outputs/."""

from __future__ import annotations

import argparse
from pathlib import Path

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from train_run import Run

parser = argparse.ArgumentParser()
parser.add_argument("--c", type=float, default=1.0)
parser.add_argument("--gamma", type=float, default=0.001)
arguments = parser.parse_args()

images, labels = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(images, labels, test_size=0.3, random_state=0)
model = SVC(C=arguments.c, gamma=arguments.gamma).fit(x_train, y_train)
accuracy = model.score(x_test, y_test)

run = Run.get_context()
run.log("c", arguments.c)
run.log("accuracy", accuracy)
Path("outputs").mkdir(exist_ok=True)
joblib.dump(model, "outputs/model.joblib")
print(f"C={arguments.c} gamma={arguments.gamma}: accuracy {accuracy:.4f} on {len(y_test)} digits")
