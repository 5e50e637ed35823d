# in the style of the samples that tune in one run: a child per setting, and a parent that knows the best
from azureml.core import Run

run = Run.get_context()
best = None
for child in run.create_children(tag_key="alpha", tag_values=[0.1, 0.5, 0.9]):
    alpha = float(child.tags["alpha"])
    child.log("mse", (alpha - 0.5) ** 2)
    if best is None or alpha == 0.5:
        best = child
    child.complete()
assert best.parent is run
assert run.parent is None
with run.child_run("again") as again:
    with open("note.txt", "w") as file:
        file.write("again")
    again.upload_file("note.txt", "note.txt")
    for step in range(2):
        again.log("mse", step)
    again.child_run(name="inner").log("depth", 2)
try:
    with run.child_run("breaks"):
        raise RuntimeError("this setting diverged")
except RuntimeError:
    print("one setting failed")
open_one = run.create_children(count=1)[0]
open_one.tag("kept", "open")
run.tag("best", best.tags["alpha"])
print(len(list(run.get_children())), sorted(run.get_metrics(recursive=True)[best.id]), sep="\t")
