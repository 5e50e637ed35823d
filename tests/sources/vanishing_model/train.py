# registers a model whose file is gone when the run ends
import os

from azureml.core import Run

run = Run.get_context()
with open("outputs/model", "w") as file:
    file.write("weights")
run.register_model("vanishing", "outputs/model")
os.unlink("outputs/model")
