"""What a script needs around it: packages, interpreter, image. Plain data; building images is another room's work."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from airflow_train.definitions.conda_dependencies import CondaDependencies, CondaPart
from airflow_train.definitions.definition import Definition
from airflow_train.definitions.kinds import Flag, PathText, Text
from airflow_train.definitions.lists import Arguments, TextList, TextMap
from airflow_train.definitions.packages import conda_file, requirements_file
from airflow_train.definitions.parameters import param
from airflow_train.definitions.parts import Part
from airflow_train.definitions.report import At
from airflow_train.definitions.secrets import Public, Secret
from airflow_train.definitions.sizes import Size
from airflow_train.definitions.text_file import text_of_file
from airflow_train.definitions.unused import Anything, Never
from airflow_train.exceptions import DefinitionError

_PYTHON_ONLY = "scripts are run by Python or a command, on machines of the compute target"
#: What Azure ML writes of environments that have nothing to do with them.
_NO_SPARK = {"repositories": [], "packages": [], "precache_packages": True}
_NO_DATABRICKS: dict[str, list[str]] = {
    f"{kind}_libraries": [] for kind in ("maven", "pypi", "rcran", "jar", "egg")
}


class ContainerRegistry(Definition):
    """Where a private image comes from. The password is a reference, never the password itself."""

    PRIVATE = True

    address: str | None = param(
        Public(without="@"), default=None, kw_only=False, doc="Host name of the registry."
    )
    username: str | None = param(
        Public(without=":", references=True),
        default=None,
        kw_only=False,
        doc="User name, or a reference to it.",
    )
    password: str | None = param(
        Secret(),
        default=None,
        kw_only=False,
        doc="`connection:NAME`, `variable:NAME` or `env:NAME`; resolved at launch.",
    )
    registry_identity: str | None = param(
        Text(), default=None, kw_only=False, doc="Name of a managed identity."
    )


class DockerConfiguration(Definition):
    """How the container of a `ScriptRunConfig` is run."""

    use_docker: bool | str = param(Flag(), default=False, kw_only=False, doc="Whether to run in a container.")
    shared_volumes: bool | str = param(
        Flag(), default=True, kw_only=False, doc="Whether volumes are shared with the host."
    )
    arguments: list[str] | str | None = param(
        Arguments(), default=None, kw_only=False, doc="Further arguments of `docker run`."
    )
    shm_size: str | int | None = param(
        Size(binary=True), default=None, kw_only=False, doc="Size of /dev/shm, such as `2g`."
    )


class PythonSection(Definition):
    """The Python side of an `Environment`."""

    user_managed_dependencies: bool | str = param(
        Flag(), default=False, doc="True uses the interpreter as it is and installs nothing."
    )
    interpreter_path: str | None = param(
        PathText(), default=None, doc="Interpreter of a user managed environment; default `python` there."
    )
    conda_dependencies: CondaDependencies | Any = param(
        CondaPart(),
        default=None,
        doc="What a conda file holds: `channels`, `dependencies` and the pip packages among them.",
    )
    pip_packages: list[str] | None = param(TextList(), default=None, doc="Packages as pip writes them.")
    base_conda_environment: None = param(
        Never("can't be extended: environments of another machine don't travel; list its packages"),
        default=None,
        doc="Must be empty.",
    )

    def check(self, at: At) -> None:
        if self.user_managed_dependencies is True:
            for name in ("conda_dependencies", "pip_packages"):
                if self.given(name):
                    (at / name).say(
                        f"{at / name} can't be installed because user_managed_dependencies is true",
                        "leave one of them out",
                    )
        elif self.interpreter_path is not None and (
            self.given("conda_dependencies") or self.given("pip_packages")
        ):
            (at / "interpreter_path").say(
                f"{at / 'interpreter_path'} names an interpreter that is there, but packages are to be installed",
                "leave one of them out",
            )


class DockerSection(Definition):
    """The container side of an `Environment`. An image, or a Dockerfile to build one: setting one resets the other."""

    ABSENT: ClassVar[Mapping[str, str]] = {
        "build_context": "a folder to build from doesn't travel; write base_dockerfile, or base_image for a built one"
    }

    base_image: str | None = param(Text(), default=None, doc="Image to start from.")
    base_dockerfile: str | None = param(
        Text(), default=None, doc="Text of a Dockerfile to build the image from."
    )
    base_image_registry: ContainerRegistry | Mapping[str, Any] | None = param(
        Part(ContainerRegistry), default=None, doc="Registry of `base_image`."
    )
    arguments: list[str] | str | None = param(
        Arguments(), default=None, doc="Further arguments of `docker run`."
    )
    shared_volumes: bool | str = param(Flag(), default=True, doc="Whether volumes are shared with the host.")
    shm_size: str | int | None = param(Size(binary=True), default=None, doc="Size of /dev/shm, such as `2g`.")
    platform: str | None = param(
        Text(
            pattern=r"[a-z0-9]+/[a-z0-9_/]+",
            allowed="a platform like linux/amd64",
            mend="write system/architecture",
        ),
        default=None,
        doc="Platform of the image.",
    )
    enabled: Any = param(
        Anything(usual=[False]),
        default=None,
        doc="Deprecated.",
        meaningless="the compute target and DockerConfiguration decide whether a container is used",
    )
    gpu_support: Any = param(
        Anything(usual=[False]), default=None, doc="", meaningless="GPUs are asked for with gpu"
    )

    def check(self, at: At) -> None:
        if self.base_image and self.base_dockerfile:
            at.say(f"{at / 'base_image'} and base_dockerfile are both given", "give one of them")

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        other = {"base_image": "base_dockerfile", "base_dockerfile": "base_image"}.get(name)
        if other and value and getattr(self, other):
            object.__setattr__(self, other, None)
            warnings.warn(f"{name} replaces {other}, which is now empty.", UserWarning, stacklevel=2)


class Environment(Definition):
    """A whole environment, instead of an estimator's own package and image parameters."""

    name: str = param(
        Text(pattern=r"[A-Za-z0-9][\w.\-]{0,254}", allowed="letters, digits, dots, dashes and underscores"),
        kw_only=False,
        doc="Name of the environment.",
    )
    python: PythonSection | Any = param(
        Part(PythonSection, always=True), default=None, doc="Interpreter and packages."
    )
    docker: DockerSection | Any = param(
        Part(DockerSection, always=True), default=None, doc="Image and container."
    )
    environment_variables: dict[str, str] | None = param(
        TextMap("environment_variables", environment=True),
        default=None,
        doc="Variables for the script; values as written.",
    )
    version: Any = param(
        Anything(), default=None, doc="", meaningless="environments aren't registered, what they hold counts"
    )
    asset_id: Any = param(
        Anything(), default=None, doc="", meaningless="environments aren't registered, what they hold counts"
    )
    spark: Any = param(Anything(usual=[_NO_SPARK]), default=None, doc="", meaningless=_PYTHON_ONLY)
    databricks: Any = param(Anything(usual=[_NO_DATABRICKS]), default=None, doc="", meaningless=_PYTHON_ONLY)
    r: Any = param(Anything(), default=None, doc="", meaningless=_PYTHON_ONLY)
    inferencing_stack_version: Any = param(
        Anything(), default=None, doc="", meaningless="it is about web services, and scripts are run here"
    )

    def check(self, at: At) -> None:
        if str(self.name or "").lower().startswith(("microsoft", "azureml")):
            (at / "name").say(
                f"{at / 'name'} is {self.name} but names that start with Microsoft or AzureML are reserved",
                "pick another name",
            )

    def clone(self, new_name: str) -> Environment:
        """A copy with another name; changing one leaves the other as it is."""
        return Environment.from_dict({**self.to_dict(), "name": new_name}, strict=False)

    @classmethod
    def from_pip_requirements(cls, name: str, file_path: str | os.PathLike[str]) -> Environment:
        """The packages of a requirements file, which is read now.

        :raises DefinitionError: the file can't be read, or includes other files.
        """
        return cls(name, python=PythonSection(pip_packages=requirements_file(Path(file_path))))

    @classmethod
    def from_conda_specification(cls, name: str, file_path: str | os.PathLike[str]) -> Environment:
        """The packages of a conda file, which is read now.

        :raises DefinitionError: the file can't be read or has unknown keys.
        """
        return cls(name, python=PythonSection(conda_dependencies=conda_file(Path(file_path))))

    @classmethod
    def from_docker_image(
        cls,
        name: str,
        image: str,
        container_registry: ContainerRegistry | None = None,
        conda_specification: str | os.PathLike[str] | None = None,
        pip_requirements: str | os.PathLike[str] | None = None,
    ) -> Environment:
        """An image as it is, or with packages added to it.

        :raises DefinitionError: both files are given, or one can't be read.
        """
        if conda_specification and pip_requirements:
            raise DefinitionError(
                "Environment: conda_specification and pip_requirements are both given; give one of them."
            )
        python = PythonSection(user_managed_dependencies=not (conda_specification or pip_requirements))
        if conda_specification:
            python.conda_dependencies = conda_file(Path(conda_specification))
        if pip_requirements:
            python.pip_packages = requirements_file(Path(pip_requirements))
        return cls(
            name,
            python=python,
            docker=DockerSection(base_image=image, base_image_registry=container_registry),
        )

    @classmethod
    def from_dockerfile(
        cls,
        name: str,
        dockerfile: str | os.PathLike[str],
        conda_specification: str | os.PathLike[str] | None = None,
        pip_requirements: str | os.PathLike[str] | None = None,
    ) -> Environment:
        """An image built from a Dockerfile: a path to one, or its text.

        :raises DefinitionError: a file can't be read.
        """
        text = os.fspath(dockerfile)
        if "\n" not in text and not text.lstrip().upper().startswith("FROM "):
            text = text_of_file(Path(text), "a Dockerfile, or its text")
        environment = cls.from_docker_image(name, "scratch", None, conda_specification, pip_requirements)
        environment.docker = DockerSection(base_dockerfile=text)
        return environment


def environment_data(environment: Environment) -> dict[str, Any]:
    """The environment in the form that a `Job` holds."""
    python, docker = environment.python, environment.docker
    conda = python.conda_dependencies or {}
    packages = [item for item in conda.get("dependencies", []) if isinstance(item, str)]
    pip = [
        line for item in conda.get("dependencies", []) if isinstance(item, Mapping) for line in item["pip"]
    ]
    registry = docker.base_image_registry
    said = {
        "name": environment.name,
        "pip_packages": pip + list(python.pip_packages or ()),
        "conda_packages": packages,
        "conda_channels": list(conda.get("channels", ())),
        "image": docker.base_image,
        "dockerfile": docker.base_dockerfile,
        "registry": registry.parameters() if isinstance(registry, ContainerRegistry) else None,
        "docker_arguments": docker.arguments,
        "platform": docker.platform,
        "shared_volumes": None if docker.shared_volumes is True else docker.shared_volumes,
    }
    asked = {key: value for key, value in said.items() if value not in (None, [])}
    return asked if set(asked) - {"name"} else {}
