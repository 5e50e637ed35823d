"""Learns the irises that come with scikit-learn, as whoever the image says."""

import os

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from train_run import Run

flowers, names = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=500).fit(flowers, names)
run = Run.get_context()
run.log("accuracy", model.score(flowers, names))
run.log("uid", os.getuid())
joblib.dump(model, "outputs/model.joblib")
