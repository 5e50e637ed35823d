# in the style of the scikit-learn samples of 2019
import argparse
import os
import pickle

from azureml.core.run import Run

run = Run.get_context()

parser = argparse.ArgumentParser()
parser.add_argument("--kernel", type=str, default="linear", help="Kernel type to be used in the algorithm")
parser.add_argument("--penalty", type=float, default=1.0, help="Penalty parameter of the error term")
args = parser.parse_args()
run.log("Kernel type", str(args.kernel))
run.log("Penalty", float(args.penalty))

points = [((x, y), int(x + y > 7)) for x in range(8) for y in range(8)]
threshold = 7 / args.penalty
right = [int(sum(point) > threshold) == label for point, label in points]
run.log("Accuracy", sum(right) / len(right))
run.log_list("Thresholds", [threshold, 7])
run.log_table("Confusion", {"true": [0, 1], "found": [36, 28]})
run.log_row("Sizes", points=len(points), right=sum(right))

os.makedirs("outputs", exist_ok=True)
with open(os.path.join("outputs", "model.pkl"), "wb") as file:
    pickle.dump(threshold, file)
model = run.register_model(
    model_name="iris", model_path="outputs/model.pkl", tags={"kernel": args.kernel}, description="a threshold"
)
print(model.name, model.id, model.version, sep="\t")
run.complete()
