"""`RunConfiguration`: what a `.runconfig` file of Azure ML says, for `ScriptRunConfig(run_config=…)`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

from airflow_train.definitions.conda_dependencies import CondaDependencies, CondaPart
from airflow_train.definitions.definition import Definition
from airflow_train.definitions.distributed import (
    AnyDistribution,
    Layout,
    MpiConfiguration,
    ParallelTaskConfiguration,
    PyTorchConfiguration,
    TensorflowConfiguration,
    laid_out,
)
from airflow_train.definitions.docker_section import DockerConfiguration
from airflow_train.definitions.environment import Environment
from airflow_train.definitions.kinds import Integer, PathText, Text
from airflow_train.definitions.lists import Arguments, TextMap
from airflow_train.definitions.parameters import param
from airflow_train.definitions.parts import Part
from airflow_train.definitions.report import At
from airflow_train.definitions.run_sections import (
    AmlComputeConfiguration,
    HdiConfiguration,
    HistoryConfiguration,
    KubernetesComputeConfiguration,
    SparkConfiguration,
)
from airflow_train.definitions.target_value import Target
from airflow_train.definitions.unused import Anything, Never
from airflow_train.definitions.values import is_deferred
from airflow_train.exceptions import DefinitionError

DEFAULT_ENVIRONMENT = "default-environment"
_FRAMEWORKS = ("Python", "PyTorch", "TensorFlow", "CNTK", "PySpark")
#: What a communicator means: the section that says how many processes there are.
SECTIONS = {
    "OpenMpi": "mpi",
    "IntelMpi": "mpi",
    "Mpi": "mpi",
    "Nccl": "pytorch",
    "Gloo": "pytorch",
    "ParameterServer": "tensorflow",
    "ParallelTask": "paralleltask",
}
_MACHINES = "the compute target decides on machines"
_NO_DATA = "can't be honoured yet: no datastore is mounted; give the script a path or URI in arguments"


class RunConfiguration(Definition):
    """A script with target, environment and distribution, without the folder that it lies in.

    :raises DefinitionError: on construction, with one sentence for every rule that is broken.
    """

    script: str | os.PathLike[str] | None = param(
        PathText(inside=True),
        default=None,
        kw_only=False,
        doc="The script, a path below the source directory.",
    )
    arguments: Sequence[Any] | str | None = param(
        Arguments(), default=None, kw_only=False, doc="The script's command line, a list or one text."
    )
    framework: str = param(
        Text(choices=_FRAMEWORKS),
        default="Python",
        kw_only=False,
        doc="What the script is made with; `communicator` decides how its processes find each other.",
    )
    communicator: str = param(
        Text(choices=("None", *SECTIONS)),
        default="None",
        kw_only=False,
        doc="How the processes find each other: by MPI, PyTorch, TensorFlow, or not at all.",
    )
    conda_dependencies: CondaDependencies | Any = param(
        CondaPart(), default=None, kw_only=False, doc="Short for `environment.python.conda_dependencies`."
    )
    command: Sequence[Any] | str | None = param(
        Arguments(whole=True),
        default=None,
        doc="A command instead of a script: words, or one text for the shell.",
    )
    target: str | Mapping[str, Any] = param(
        Target(), default="local", doc="Where to run: a name, or `{type: …}` with options."
    )
    max_run_duration_seconds: int | str | None = param(
        Integer(mend="leave it out for no limit"),
        default=None,
        doc="Seconds after which the run is stopped and has failed.",
    )
    node_count: int | str = param(Integer(mend="leave it out to run on one node"), default=1, doc="Nodes.")
    environment: Environment | Any = param(
        Part(Environment, always={"name": DEFAULT_ENVIRONMENT}),
        default=None,
        doc="Packages, interpreter and image.",
    )
    environment_variables: Mapping[str, Any] | None = param(
        TextMap("environment_variables", environment=True),
        default=None,
        doc="Variables for the script, beside those of the environment, over which they win.",
    )
    docker: DockerConfiguration | Any = param(
        Part(DockerConfiguration, always=True), default=None, doc="How the container is run."
    )
    mpi: MpiConfiguration | Any = param(
        Part(MpiConfiguration, always=True),
        default=None,
        doc="Counts where `communicator` is OpenMpi or IntelMpi.",
    )
    pytorch: PyTorchConfiguration | Any = param(
        Part(PyTorchConfiguration, always=True),
        default=None,
        doc="Counts where `communicator` is Nccl or Gloo.",
    )
    tensorflow: TensorflowConfiguration | Any = param(
        Part(TensorflowConfiguration, always=True),
        default=None,
        doc="Counts where `communicator` is ParameterServer.",
    )
    paralleltask: ParallelTaskConfiguration | Any = param(
        Part(ParallelTaskConfiguration, always=True),
        default=None,
        doc="Counts where `communicator` is ParallelTask.",
    )
    data_references: Any = param(Never(_NO_DATA, usual=[{}]), default=None, doc="Must be empty for now.")
    data: Any = param(Never(_NO_DATA, usual=[{}]), default=None, doc="Must be empty for now.")
    datacaches: Any = param(Never(_NO_DATA, usual=[[], {}]), default=None, doc="Must be empty for now.")
    output_data: Any = param(
        Never(
            "can't be honoured yet: no datastore is mounted; write to the folder outputs, which is kept",
            usual=[{}],
        ),
        default=None,
        doc="Must be empty for now.",
    )
    credential_passthrough: Any = param(
        Never("can't be honoured: nobody's login reaches a run; name credentials as secrets", usual=[False]),
        default=None,
        doc="Must be false.",
    )
    history: HistoryConfiguration | Any = param(
        Part(HistoryConfiguration, always=True), default=None, doc="Accepted without effect."
    )
    amlcompute: AmlComputeConfiguration | Any = param(
        Part(AmlComputeConfiguration, always=True), default=None, doc="Accepted without effect."
    )
    kubernetescompute: KubernetesComputeConfiguration | Any = param(
        Part(KubernetesComputeConfiguration, always=True), default=None, doc="Accepted without effect."
    )
    hdi: HdiConfiguration | Any = param(
        Part(HdiConfiguration, always=True), default=None, doc="Accepted without effect."
    )
    spark: SparkConfiguration | Any = param(
        Part(SparkConfiguration, always=True), default=None, doc="Accepted without effect."
    )
    priority: Any = param(
        Anything(), default=None, doc="", meaningless="the compute target decides who waits"
    )
    auto_cluster_compute_specification: Any = param(
        Anything(usual=[{}]), default=None, doc="", meaningless=_MACHINES
    )
    auto_prepare_environment: Any = param(
        Anything(usual=[True]), default=None, doc="", meaningless="an environment is made when it is needed"
    )
    services: Any = param(
        Anything(usual=[{}]), default=None, doc="", meaningless="nothing connects to a run from outside"
    )
    source_directory_data_store: Any = param(
        Anything(), default=None, doc="", meaningless="code travels by content, through the run store"
    )

    def check(self, at: At) -> None:
        """A communicator that means something, and numbers that agree."""
        self._move_conda_dependencies(at)
        if self.framework == "PySpark":
            (at / "framework").say("framework is PySpark but scripts are run by Python", "write Python")
        if self.command and (self.script is not None or self.arguments):
            name = "arguments" if self.script is None else "script"
            (at / name).say(f"{name} can't be given when command is given", "leave one of them out")
        if is_deferred(self.communicator) or at.failed("communicator", "node_count", *SECTIONS.values()):
            return
        used = SECTIONS.get(self.communicator)
        for name in dict.fromkeys(SECTIONS.values()):
            if name != used and self.given(name):
                means = f"communicator is {self.communicator}, which doesn't use it"
                (at / name).note(UserWarning, f"{at / name} has no effect: {means}.")
        if used is None and self.given("node_count") and not is_deferred(self.node_count):
            found = f"{at / 'node_count'} is {self.node_count}"
            finding = f"{found} but communicator doesn't say how processes find each other"
            (at / "node_count").say(finding, f"set communicator to {', '.join(SECTIONS)}")
        self.layout(at)

    def _move_conda_dependencies(self, at: At) -> None:
        given, python = self.conda_dependencies, getattr(self.environment, "python", None)
        if not given or python is None:
            return
        if python.conda_dependencies:
            (at / "conda_dependencies").say(
                "conda_dependencies and environment.python.conda_dependencies are both given",
                "give one of them",
            )
        else:
            python.conda_dependencies = given
        object.__setattr__(self, "conda_dependencies", CondaDependencies())

    def training(self) -> AnyDistribution | None:
        """The distribution that `communicator` stands for, None for a single process."""
        if self.communicator in ("Nccl", "Gloo") and isinstance(self.pytorch, PyTorchConfiguration):
            said = self.pytorch.parameters()
            return PyTorchConfiguration(**{**said, "communication_backend": self.communicator})
        used = SECTIONS.get(self.communicator)
        made: AnyDistribution | None = getattr(self, used) if used else None
        return made

    def layout(self, at: At | None = None) -> Layout:
        """How many nodes, and processes on each; contradictions are reported."""
        name = SECTIONS.get(self.communicator, "mpi")
        return laid_out(self.training(), at or At.nowhere(), name, self.node_count)

    def variables(self) -> dict[str, str]:
        """Environment variables for the script, from both places."""
        return {**(self.environment.environment_variables or {}), **(self.environment_variables or {})}

    def save(
        self,
        path: str | os.PathLike[str] | None = None,
        name: str | None = None,
        *,
        separate_environment_yaml: bool = False,
    ) -> None:
        """Write `.azureml/NAME.runconfig` below a project's folder, and its packages beside it.

        :param path: the project's folder, default the current one; or the file to write.
        :param separate_environment_yaml: write the environment into a file `environment.yml` of its own.
        :raises DefinitionError: it can't be written, or holds what such a file can't say.
        """
        from airflow_train.definitions import runconfig_writing

        runconfig_writing.save(self, path, name, separate_environment_yaml)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, name: str | None = None) -> Self:
        """The run configuration that a file holds, also one that Azure ML has written.

        What has no effect here is warned of, what can't be honoured is refused, each with its line.

        :param path: the project's folder, default the current one, or the file itself.
        :param name: the file's name in `.azureml` or `aml_config`, with or without `.runconfig`.
        :raises DefinitionError: there is no such file, or with every problem of it.
        """
        from airflow_train.definitions import runconfig_reading

        return runconfig_reading.load(cls, path, name)

    @staticmethod
    def delete(path: str | os.PathLike[str], name: str) -> None:
        """Remove the file of a run configuration.

        :raises DefinitionError: there is none.
        """
        from airflow_train.definitions import runconfig_names

        file = runconfig_names.find(path, name)
        try:
            file.unlink()
        except OSError as error:
            raise DefinitionError(f"{file}: the file can't be removed ({error.strerror}).") from error
