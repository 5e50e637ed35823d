"""The framework estimators: the same as `Estimator`, with the facts of one framework each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from airflow_train.definitions.distributed import AnyDistribution, framework_part
from airflow_train.definitions.estimator import Estimator, EstimatorBase
from airflow_train.definitions.kinds import Integer, Text
from airflow_train.definitions.parameters import param
from airflow_train.definitions.report import At

_ONE_PROCESS = "scikit-learn trains in one process on one node"
_NO_GPU = "scikit-learn doesn't use GPUs"


class Framework(NamedTuple):
    """What the estimator of the Azure ML SDK 1.62 knows of a framework (`azureml.train.dnn`, `azureml.train.sklearn`).

    Its versions are those that it installs; here any version is accepted, as the environment says what is installed.
    """

    #: What `distributed_backend` may be.
    backends: tuple[str, ...]
    #: What it installs when no version is asked for.
    default_version: str
    versions: tuple[str, ...]


FRAMEWORKS = {
    "PyTorch": Framework(("mpi", "gloo", "nccl"), "1.4", ("1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6")),
    "TensorFlow": Framework(("mpi", "ps"), "1.13", ("1.10", "1.12", "1.13", "2.0", "2.1", "2.2", "2.3")),
    "Chainer": Framework(("mpi",), "5.1.0", ("5.1.0", "7.0.0")),
    "scikit-learn": Framework((), "0.20.3", ("0.20.3",)),
}


class _Supported:
    """What the framework estimators have in common."""

    #: Key of `FRAMEWORKS`.
    NAME: ClassVar[str]

    def check(self, at: At) -> None:
        """Whose environment says everything gets nothing installed for the framework, as in the original."""
        super().check(at)  # type: ignore[misc]
        for name in ("conda_dependencies_file", "environment_definition"):
            if getattr(self, name) is not None:
                (at / name).note(
                    UserWarning, f"{name} is given, so no package of {self.NAME} is added; list them there."
                )

    @classmethod
    def get_supported_versions(cls) -> list[str]:
        """Versions that Azure ML installs, oldest first; here any other is accepted too."""
        return list(FRAMEWORKS[cls.NAME].versions)


def _version(name: str, *, unsaid: bool = False) -> Any:
    """The parameter `framework_version`.

    :param unsaid: whether leaving it out is warned of, as no script for the default version runs with today's.
    """
    facts = FRAMEWORKS[name]
    return param(
        Text(allowed='text such as "1.10"', mend="put it in quotes, or 1.10 becomes 1.1"),
        default=None,
        doc=f"Version of {name} that the script is for; any is accepted.",
        unsaid=f"framework_version is not given; Azure ML took {name} {facts.default_version} then, this run takes "
        "what its environment has. Name the version that the script is for."
        if unsaid
        else "",
    )


def _backend(name: str) -> Any:
    """The parameter `distributed_backend`."""
    choices = Text(choices=FRAMEWORKS[name].backends)
    return param(choices, default=None, doc="", deprecated_for="distributed_training")


def _training(name: str, doc: str) -> Any:
    """The parameter `distributed_training`."""
    return param(framework_part(FRAMEWORKS[name].backends), default=None, doc=doc)


class PyTorch(_Supported, Estimator):
    """A PyTorch script, in one process or many (MPI, Gloo or NCCL).

    :raises DefinitionError: on construction, with one sentence for every rule that is broken.
    """

    NAME, FRAMEWORK = "PyTorch", "PyTorch"

    framework_version: str | None = _version("PyTorch")
    distributed_backend: str | None = _backend("PyTorch")
    distributed_training: AnyDistribution | Mapping[str, Any] | str | None = _training(
        "PyTorch", "How the processes find each other: MPI, PyTorch, or not at all."
    )


class TensorFlow(_Supported, Estimator):
    """A TensorFlow script, in one process or many (MPI, or workers with parameter servers).

    :raises DefinitionError: on construction, with one sentence for every rule that is broken.
    """

    NAME, FRAMEWORK = "TensorFlow", "TensorFlow"

    framework_version: str | None = _version("TensorFlow", unsaid=True)
    distributed_backend: str | None = _backend("TensorFlow")
    distributed_training: AnyDistribution | Mapping[str, Any] | str | None = _training(
        "TensorFlow", "How the processes find each other: MPI, TensorFlow, or not at all."
    )
    worker_count: int | str = param(
        Integer(mend="leave it out for one worker"),
        default=None,
        doc="",
        deprecated_for="distributed_training.worker_count",
    )
    parameter_server_count: int | str = param(
        Integer(minimum=0, mend="write 0 for none"),
        default=None,
        doc="",
        deprecated_for="distributed_training.parameter_server_count",
    )


class Chainer(_Supported, Estimator):
    """A Chainer script, in one process or many (MPI, by ChainerMN).

    :raises DefinitionError: on construction, with one sentence for every rule that is broken.
    """

    NAME, FRAMEWORK = "Chainer", "Chainer"

    framework_version: str | None = _version("Chainer", unsaid=True)
    distributed_backend: str | None = _backend("Chainer")
    distributed_training: AnyDistribution | Mapping[str, Any] | str | None = _training(
        "Chainer", "How the processes find each other: MPI, or not at all."
    )


class SKLearn(_Supported, EstimatorBase):
    """A scikit-learn script: one process on one node, without GPU.

    :raises DefinitionError: on construction, with one sentence for every rule that is broken.
    """

    NAME, FRAMEWORK = "scikit-learn", "ScikitLearn"
    ABSENT: ClassVar[Mapping[str, str]] = {
        **EstimatorBase.ABSENT,
        "node_count": _ONE_PROCESS,
        "process_count_per_node": _ONE_PROCESS,
        "distributed_training": _ONE_PROCESS,
        "distributed_backend": _ONE_PROCESS,
        "use_gpu": _NO_GPU,
        "gpu": _NO_GPU,
        "distributed_job_config": _ONE_PROCESS,
        "custom_docker_base_image": "its name is custom_docker_image now; write that",
        "source_directory_data_store": "code travels by content, through the run store",
    }

    framework_version: str | None = _version("scikit-learn")
