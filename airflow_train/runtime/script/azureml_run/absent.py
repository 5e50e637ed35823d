"""Parts of Azure ML that a run of airflow-train doesn't have: importable, and saying so when they are used."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, NoReturn

    from airflow_train.runtime.script.train_run import TrainRunError
else:
    from train_run import TrainRunError

_DATA = "hand paths to the script by script_params"


class NotHere(TrainRunError, AttributeError):
    """Azure ML has this, a run of airflow-train hasn't; the sentence says what to use instead."""


class NoDataset(NotHere, KeyError):
    """The run has no dataset of that name."""

    __str__ = Exception.__str__  # KeyError would quote the sentence


class Absent(type):
    """Class of the classes that aren't there; `mend` is what to do instead."""

    mend = "leave it out where the script runs without Azure ML"

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise missing(f"{cls.__name__}.{name}", cls.mend)

    def __call__(cls, *_: Any, **__: Any) -> Any:
        raise missing(f"{cls.__name__}()", cls.mend)


def missing(what: str, mend: str) -> NotHere:
    """The error that says so."""
    return NotHere(f"{what} isn't there: this script runs in airflow-train, without Azure ML; {mend}.")


def absent(name: str, mend: str = Absent.mend) -> Any:
    """A class that can be imported and named, but neither be made nor asked for anything."""
    return Absent(name, (), {"mend": mend, "__doc__": f"Isn't there: {mend}."})


def other_names(name: str) -> Any:
    """As `__getattr__` of a module: what scripts import and seldom use in a run can be imported.

    :raises AttributeError: it isn't written as a class is.
    """
    if not name[:1].isupper():
        raise AttributeError(f"{name} isn't there: this script runs in airflow-train, without Azure ML")
    return absent(name)


class Workspace(metaclass=Absent):
    """What `run.experiment.workspace` gives: secrets are there, nothing else."""

    mend = f"{_DATA}, register models by run.register_model"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise missing(f"workspace.{name}", self.mend)

    def __repr__(self) -> str:
        return "Workspace(none: airflow-train has no workspaces)"

    def get_default_keyvault(self) -> Keyvault:
        """Secrets, as `run.get_secret` reads them."""
        return object.__new__(Keyvault)


class Keyvault(metaclass=Absent):
    """Secrets by name, read from environment variables."""

    mend = "secrets are environment variables; use run.get_secret"

    def get_secret(self, name: str) -> str:
        """As `run.get_secret`."""
        return secret(name)

    def get_secrets(self, secrets: Any) -> dict[str, str]:
        """As `run.get_secrets`."""
        return {name: secret(name) for name in secrets}


def workspace() -> Workspace:
    """The one workspace there is."""
    return object.__new__(Workspace)


def secret(name: str) -> str:
    """Value of the environment variable of that name in capitals, `-` as `_`.

    :raises NotHere: it isn't set.
    """
    import os

    variable = str(name).upper().replace("-", "_")
    if variable not in os.environ:
        raise NotHere(
            f"get_secret({name!r}): the environment variable {variable} isn't set; add it to the definition, as in "
            f'secrets: {{{variable}: "connection:ID/password"}}.'
        )
    return os.environ[variable]


class Datasets(Mapping):  # type: ignore[type-arg] # subscripting it needs Python 3.9
    """`run.input_datasets` and `run.output_datasets`: empty, and clear about it."""

    def __init__(self, member: str) -> None:
        self._member = member

    def __getitem__(self, name: Any) -> Any:
        raise NoDataset(
            f"run.{self._member}[{name!r}] isn't there: runs of airflow-train have no datasets; {_DATA}."
        )

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, name: object) -> bool:
        return False

    def get(self, name: Any, default: Any = None) -> Any:
        """`default`."""
        return default

    def __repr__(self) -> str:
        return "{}"


Dataset = absent("Dataset", _DATA)
Datastore = absent("Datastore", _DATA)
DataReference = absent("DataReference", _DATA)
OutputFileDatasetConfig = absent("OutputFileDatasetConfig", "write to ./outputs, which is kept")
Model = absent(
    "Model", "register by run.register_model, and hand the path of a model to the script by script_params"
)
Environment = absent("Environment", "environments belong into the definition of the run")
CondaDependencies = absent("CondaDependencies", "environments belong into the definition of the run")
Image = absent("Image")
ScriptRunConfig = absent("ScriptRunConfig", "runs are submitted by operators and `airflow-train run`")
RunConfiguration = absent("RunConfiguration", "runs are submitted by operators and `airflow-train run`")
ComputeTarget = absent("ComputeTarget", "compute targets belong into the definition of the run")
Webservice = absent("Webservice")
ServicePrincipalAuthentication = absent("ServicePrincipalAuthentication", "nothing here asks for a login")
InteractiveLoginAuthentication = absent("InteractiveLoginAuthentication", "nothing here asks for a login")
MsiAuthentication = absent("MsiAuthentication", "nothing here asks for a login")
AzureCliAuthentication = absent("AzureCliAuthentication", "nothing here asks for a login")
