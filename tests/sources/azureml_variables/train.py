# finds its way by the variables that Azure ML sets
import os

for name in sorted(os.environ):
    if name.startswith("AZUREML_"):
        print(name, os.environ[name], sep="=")
target = os.environ.get("AZUREML_OUTPUT_DIRECTORY", "outputs")
os.makedirs(target, exist_ok=True)
with open(os.path.join(target, "done.txt"), "w") as file:
    file.write("done")
