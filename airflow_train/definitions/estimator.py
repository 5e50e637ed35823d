"""`Estimator`: a script, its command line, what it needs and how many of it run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow_train.definitions.distributed import (
    BACKENDS,
    AnyDistribution,
    described,
    distribution_part,
    laid_out,
)
from airflow_train.definitions.docker_section import AptPackages, ContainerRegistry
from airflow_train.definitions.environment import Environment, EnvironmentPart, give
from airflow_train.definitions.image_text import ImageName
from airflow_train.definitions.job import Job
from airflow_train.definitions.kinds import Flag, Integer, PathText, Text
from airflow_train.definitions.lists import Data, ScriptParams, TextMap
from airflow_train.definitions.parameters import param
from airflow_train.definitions.parts import Part
from airflow_train.definitions.report import At
from airflow_train.definitions.requirement_lines import CondaPackages, PipLines
from airflow_train.definitions.runnable import RESUME_DOC, Runnable, gpu_param
from airflow_train.definitions.sizes import Size
from airflow_train.definitions.target_value import Target
from airflow_train.definitions.unused import Anything
from airflow_train.definitions.values import either, is_deferred
from airflow_train.definitions.words import flattened

_PACKAGES = ("pip_packages", "pip_requirements_file", "conda_packages", "conda_dependencies_file")
_WHOLE_ENVIRONMENT = (
    *_PACKAGES,
    "apt_packages",
    "custom_docker_image",
    "image_registry_details",
    "use_gpu",
    "user_managed",
    "shm_size",
    "environment_variables",
)
_MACHINES = "the compute target decides on machines"


class EstimatorBase(Runnable):
    """What all estimators have in common."""

    ABSENT: ClassVar[Mapping[str, str]] = {
        "script": "the script is called so elsewhere; write entry_script",
        "arguments": "the script's arguments have names; write script_params",
        "command": "an estimator runs a Python script; use ScriptRunConfig",
        "environment": "a whole environment is called otherwise; write environment_definition",
        "distributed_job_config": "a distribution is called otherwise; write distributed_training",
    }

    compute_target: str | Mapping[str, Any] | None = param(
        Target(),
        default=None,
        doc="Where to run: a name, or `{type: …}` with options; default the configured one.",
    )
    entry_script: str | os.PathLike[str] | None = param(
        PathText(inside=True), default=None, doc="The script, a path below `source_directory`."
    )
    script_params: Mapping[str, Any] | None = param(
        ScriptParams(),
        default=None,
        doc="The script's arguments, name and value, which reaches the script as written; a list gives several values, "
        "None or an empty text a flag.",
    )
    use_docker: bool | str = param(Flag(), default=True, doc="False asks not to run in a container.")
    custom_docker_image: str | None = param(ImageName(), default=None, doc="Image to run in.")
    image_registry_details: ContainerRegistry | Mapping[str, Any] | None = param(
        Part(ContainerRegistry), default=None, doc="Registry of a private image."
    )
    user_managed: bool | str = param(
        Flag(), default=False, doc="True uses the interpreter as it is and installs nothing."
    )
    conda_packages: list[str] | None = param(
        CondaPackages("[cmake, libpng]"), default=None, doc="Packages to install by conda."
    )
    pip_packages: list[str] | None = param(PipLines(), default=None, doc="Packages to install by pip.")
    apt_packages: list[str] | None = param(
        AptPackages(), default=None, doc="Packages of Debian or Ubuntu to install in a container's image."
    )
    conda_dependencies_file: str | os.PathLike[str] | None = param(
        PathText(inside=True),
        default=None,
        doc="Conda file below `source_directory`, instead of package lists.",
    )
    pip_requirements_file: str | os.PathLike[str] | None = param(
        PathText(inside=True), default=None, doc="Requirements file below `source_directory`."
    )
    environment_variables: Mapping[str, Any] | None = param(
        TextMap("environment_variables", environment=True),
        default=None,
        doc="Variables for the script; values as written.",
    )
    environment_definition: Environment | Mapping[str, Any] | str | None = param(
        EnvironmentPart(),
        default=None,
        doc="A whole environment instead of package and image parameters; or the name of a registered one, `NAME` or "
        "`NAME:VERSION`.",
    )
    inputs: Sequence[Any] | None = param(Data("list"), default=None, doc="Data that the script reads.")
    shm_size: str | int | None = param(
        Size(binary=True), default=None, doc="Size of /dev/shm in a container, such as `2g`."
    )
    resume_from: str | os.PathLike[str] | None = param(PathText(), default=None, doc=RESUME_DOC)
    max_run_duration_seconds: int | str | None = param(
        Integer(mend="leave it out for no limit"),
        default=None,
        doc="Seconds after which the run is stopped and has failed.",
    )
    conda_dependencies_file_path: str | None = param(
        PathText(inside=True), default=None, doc="", deprecated_for="conda_dependencies_file"
    )
    pip_requirements_file_path: str | None = param(
        PathText(inside=True), default=None, doc="", deprecated_for="pip_requirements_file"
    )
    vm_size: Any = param(Anything(), default=None, doc="", meaningless=_MACHINES)
    vm_priority: Any = param(Anything(), default=None, doc="", meaningless=_MACHINES)

    def check(self, at: At) -> None:
        """Refusals 2 to 4 and 8 of the original, and a script that must be named."""
        super().check(at)
        if self.entry_script is None and not at.failed("entry_script"):
            (at / "entry_script").say(
                "entry_script is missing", "name the script to run, a path below source_directory"
            )
        if self.use_docker is False and self.given("custom_docker_image"):
            (at / "custom_docker_image").say(
                "custom_docker_image can't be used because use_docker is false", "leave one of them out"
            )
        if self.environment_definition is not None:
            self._refuse(
                _WHOLE_ENVIRONMENT, "environment_definition is given", "put it into the environment", at
            )
        if self.given("conda_dependencies_file"):
            others = [name for name in _PACKAGES if name != "conda_dependencies_file"]
            self._refuse(others, "conda_dependencies_file is given", "list it in that file", at)
        if self.user_managed is True:
            installed = (*_PACKAGES, "apt_packages")
            self._refuse(
                installed, "user_managed is true, which installs nothing", "leave one of them out", at
            )

    def open_variables(self) -> Any:
        """Environment variables of the script that are no secrets."""
        whole = self.environment_definition
        return getattr(whole, "environment_variables", None) or self.environment_variables

    def _refuse(self, names: Sequence[str], because: str, mend: str, at: At) -> None:
        for name in names:
            if self.given(name):
                better = "ask for GPUs with gpu" if name == "use_gpu" else mend
                (at / name).say(f"{name} can't be given when {because}", better)

    def to_job(self) -> Job:
        """Script, environment and data."""
        job = Job(
            **self._shared(),
            entry_script=str(self.entry_script),
            arguments=flattened(self.script_params or {}),
            environment=self._environment(),
            user_managed=bool(self.user_managed),
            environment_variables=dict(self.environment_variables or {}),
            inputs=list(self.inputs or ()),
            shm_size=None if self.shm_size is None else str(self.shm_size),
            use_docker=self.use_docker is True,
        )
        whole = self.environment_definition
        give(whole, job)
        job.framework_packages = (
            self.FRAMEWORK is not None
            and not job.user_managed
            and whole is None
            and not self.given("conda_dependencies_file")
        )
        return job

    def _environment(self) -> dict[str, Any]:
        named = (*_PACKAGES, "apt_packages")
        asked = {name: getattr(self, name) for name in named if self.given(name)}
        if self.custom_docker_image:
            asked["image"] = self.custom_docker_image
        if isinstance(self.image_registry_details, ContainerRegistry):
            asked["registry"] = self.image_registry_details.parameters()
        return asked


class Estimator(EstimatorBase):
    """A script of any framework, in one process or many.

    :raises DefinitionError: on construction, with one sentence for every rule that is broken.
    """

    EXCLUSIVE = frozenset({"custom_docker_base_image"})

    node_count: int | str = param(Integer(mend="leave it out to run on one node"), default=1, doc="Nodes.")
    process_count_per_node: int | str = param(
        Integer(mend="leave it out to run one process per node"), default=1, doc="Processes on every node."
    )
    distributed_training: AnyDistribution | Mapping[str, Any] | str | None = param(
        distribution_part(),
        default=None,
        doc="How the processes find each other: MPI, PyTorch or TensorFlow.",
    )
    use_gpu: bool | str = param(
        Flag(), default=False, doc="Whether the script needs a GPU; `gpu` says how many."
    )
    gpu: int | str | None = gpu_param()
    distributed_backend: str | None = param(
        Text(choices=tuple(BACKENDS)), default=None, doc="", deprecated_for="distributed_training"
    )
    custom_docker_base_image: str | None = param(
        ImageName(), default=None, doc="", deprecated_for="custom_docker_image"
    )
    source_directory_data_store: Any = param(
        Anything(), default=None, doc="", meaningless="code travels by content, through the run store"
    )

    def check(self, at: At) -> None:
        """The rules of all estimators, and those of several processes (5 to 7 and 9 of the original)."""
        super().check(at)
        names = ("node_count", "process_count_per_node", "distributed_training", "distributed_backend")
        if not at.failed(*names):
            self._check_layout(names[:2], at)
        if self.use_gpu is True and self.gpu == 0:
            (at / "gpu").say("gpu is 0 but use_gpu is true", "leave one of them out")
        if self.use_gpu is True and self.given("custom_docker_image"):
            (at / "use_gpu").say(
                "use_gpu can't be given beside custom_docker_image, because it chooses an image",
                "ask for GPUs with gpu",
            )

    def _check_layout(self, names: Sequence[str], at: At) -> None:
        training = self.distributed_training
        if training is None:
            for name in names:
                if self.given(name) and not is_deferred(getattr(self, name)):
                    found = getattr(self, name)
                    finding = f"{name} is {found} but distributed_training doesn't say how processes find each other"
                    (at / name).say(finding, f"add distributed_training: {either(self._words())}")
        laid_out(training, at, "distributed_training", self.node_count, self.process_count_per_node)

    def _words(self) -> list[str]:
        kind = self.PARAMS["distributed_training"].kind
        return [cls.type_names()[-1] for cls in kind.classes] if isinstance(kind, Part) else []

    def to_job(self) -> Job:
        """Also nodes, processes and GPUs."""
        job = super().to_job()
        training = self.distributed_training
        layout = laid_out(
            training, At.nowhere(), "distributed_training", self.node_count, self.process_count_per_node
        )
        job.node_count, job.process_count_per_node = layout
        job.distribution = described(training, layout)
        job.gpu = int(self.gpu) if self.gpu is not None else int(bool(self.use_gpu))
        job.use_gpu = job.gpu > 0
        return job
