# uploads what it registers, twice, and is killed at once
import os
import signal
import sys

from azureml.core import Model, Run

run = Run.get_context(allow_offline=False)
with open("weights.bin", "w") as file:
    file.write("0.5")
run.upload_file(name="weights.bin", path_or_stream="weights.bin")
first = run.register_model("weights", "weights.bin", model_framework=None, properties={"a": 1})
again = run.register_model("weights", "weights.bin")
whole = run.register_model(model_name="weights.bin")
print(first.id, again.id, whole.id, Model.__name__, flush=True)
if "--killed" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
