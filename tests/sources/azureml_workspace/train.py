# imports what such scripts import, and asks for what isn't there
import os

from azureml.core import Dataset, Datastore, Experiment, Model, Run, Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.core.dataset import Dataset as SameDataset
from azureml.core.model import Model as SameModel
from azureml.core.workspace import Workspace as SameWorkspace
from azureml.data.data_reference import DataReference

assert (Dataset, Model, Workspace) == (SameDataset, SameModel, SameWorkspace)
run = Run.get_context()
workspace = run.experiment.workspace
assert isinstance(workspace, Workspace)
assert isinstance(run.experiment, Experiment)
assert not hasattr(workspace, "datasets")
assert "train" not in run.input_datasets
os.environ.setdefault("MY_KEY", "k")
print(run.get_secret("my-key") + workspace.get_default_keyvault().get_secret("my-key"))
for ask in (
    lambda: run.input_datasets["train"],
    lambda: workspace.get_default_datastore().path,
    lambda: Workspace.from_config().name,
    lambda: Dataset.get_by_name(workspace, "iris"),
    lambda: Datastore(workspace, "blobs"),
    lambda: Model.get_model_path("iris"),
    lambda: DataReference(None),
    lambda: ServicePrincipalAuthentication("tenant", "id", "secret"),
    lambda: run.get_secret("no-such-key"),
    lambda: run.submit_child(None),
    lambda: run.experiment.submit(None),
):
    try:
        ask()
    except Exception as error:
        print(error)
    else:
        raise SystemExit("no error")
