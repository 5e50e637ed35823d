# in the style of the DP-100 labs: numpy values, a ROC curve by matplotlib, tables of arrays
import matplotlib.pyplot as plt
import numpy as np
from azureml.core import Run

run = Run.get_context()
scores = np.linspace(0, 1, 50)
labels = (scores > 0.4).astype(int)
accuracy = np.average((scores > 0.5) == labels)
run.log("Accuracy", accuracy)
run.log("Positives", labels.sum())
run.log("Any", np.bool_(True))
run.log("Loss", np.float32(0.5))
run.log_list("Scores", scores[:3])
run.log_table("Matrix", {"row": np.arange(2), "share": [np.float64(0.25), 0.75]})
for name in ("a", "b"):
    run.log_row("Summary", measure=name, median=np.median(scores))

figure = plt.figure(figsize=(6, 4))
plt.plot([0, 1], [0, 1], "k--")
plt.plot(scores, labels)
plt.title("ROC Curve")
run.log_image(name="ROC", plot=figure)
run.log_image("pyplot", plot=plt)
plt.savefig("curve.png")
run.log_image("file", path="curve.png")
plt.show()
run.complete()
