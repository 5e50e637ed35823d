# in the style of the deep learning samples of 2018: the submitted run, a loop, a plot
import base64

from azureml.core import Run

run = Run.get_submitted_run()
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


class Figure:
    """Stands in for matplotlib, which saves itself in the same way."""

    def savefig(self, target, **_):
        target.write(DOT)


with open("dot.png", "wb") as file:
    file.write(DOT)
for epoch in range(3):
    loss = 1.0 / (epoch + 1)
    run.log("training_acc", 1 - loss)
    run.log("loss", loss, step=epoch)
    run.log_image("curve", plot=Figure())
run.log_image(name="one/dot", path="dot.png")
run.tag("framework", "none")
run.add_properties({"author": "ada"})
print(
    run.get_status(),
    run.id.startswith("OfflineRun"),
    run.tags["framework"],
    run.properties["author"],
    sep="\t",
)
