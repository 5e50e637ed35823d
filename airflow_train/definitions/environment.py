"""What a script needs around it: packages, interpreter, image. Plain data; building images is another room's work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_train.definitions import registered
from airflow_train.definitions.conda_dependencies import CondaDependencies, CondaPart
from airflow_train.definitions.definition import Definition
from airflow_train.definitions.docker_section import ContainerRegistry, DockerBuildContext, DockerSection
from airflow_train.definitions.job import Job
from airflow_train.definitions.kinds import Flag, PathText, Text
from airflow_train.definitions.lists import TextMap
from airflow_train.definitions.packages import conda_file
from airflow_train.definitions.parameters import param
from airflow_train.definitions.parts import Part
from airflow_train.definitions.report import At
from airflow_train.definitions.requirement_lines import PipLines, read_file
from airflow_train.definitions.text_file import path_of, text_of_file
from airflow_train.definitions.unused import Anything, Never
from airflow_train.exceptions import DefinitionError

#: What an environment may be called.
NAME = r"[A-Za-z0-9][\w.\-]{0,254}"

_PYTHON_ONLY = "scripts are run by Python or a command, on machines of the compute target"
#: What Azure ML writes of environments that have nothing to do with them.
_NO_SPARK = {"repositories": [], "packages": [], "precache_packages": True}
_NO_DATABRICKS: dict[str, list[str]] = {
    f"{kind}_libraries": [] for kind in ("maven", "pypi", "rcran", "jar", "egg")
}


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
    pip_packages: list[str] | None = param(PipLines(), default=None, doc="Packages as pip writes them.")
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


class Environment(Definition):
    """A whole environment, instead of an estimator's own package and image parameters."""

    name: str = param(
        Text(pattern=NAME, allowed="letters, digits, dots, dashes and underscores"),
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
        Anything(), default=None, doc="", meaningless="register numbers the versions of a name"
    )
    asset_id: Any = param(
        Anything(), default=None, doc="", meaningless="register numbers the versions of a name"
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

    def register(self, *, store: str | None = None) -> Environment:
        """Keep it under its name; a new version only where it differs from the newest one of that name.

        :param store: URI of the run store; the configured one by default.
        :returns: the same with its `version`.
        :raises DefinitionError: it is wrong, or the folder of its build context isn't there.
        :raises SnapshotError: that folder can't travel.
        """
        return registered.registry().register(self, store)

    @classmethod
    def get(cls, name: str, version: str | int | None = None, *, store: str | None = None) -> Environment:
        """A registered environment; its newest version by default.

        :param store: URI of the run store; the configured one by default.
        :raises DefinitionError: there is none.
        """
        return registered.registry().get(name, version, store)

    @classmethod
    def list(cls, *, store: str | None = None) -> Mapping[str, Environment]:
        """The newest version of every registered environment, by name.

        :param store: URI of the run store; the configured one by default.
        """
        return registered.registry().list(store)

    def save_to_directory(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write it as files that people edit: `azureml_environment.json`, `conda_dependencies.yml`, `BaseDockerfile`.

        :param overwrite: whether the folder may be there.
        :raises DefinitionError: it is there, or can't be written.
        """
        from airflow_train.definitions import environment_folder

        environment_folder.save(self.parameters(), path, overwrite=overwrite)

    @classmethod
    def load_from_directory(cls, path: str | os.PathLike[str]) -> Environment:
        """The environment that the files of a folder say, also those that Azure ML has written.

        :raises DefinitionError: there is none, or something in it is wrong.
        """
        from airflow_train.definitions import environment_folder

        return cls.from_dict(environment_folder.load(path), where=os.fspath(path))

    @classmethod
    def from_pip_requirements(cls, name: str, file_path: str | os.PathLike[str]) -> Environment:
        """The packages of a requirements file and of those that it includes, which are read now.

        :raises DefinitionError: a file can't be read, or holds what can't be honoured.
        """
        return cls(name, python=PythonSection(pip_packages=read_file(path_of("file_path", file_path))))

    @classmethod
    def from_conda_specification(cls, name: str, file_path: str | os.PathLike[str]) -> Environment:
        """The packages of a conda file, which is read now.

        :raises DefinitionError: the file can't be read or has unknown keys.
        """
        return cls(name, python=PythonSection(conda_dependencies=conda_file(path_of("file_path", file_path))))

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
            python.conda_dependencies = conda_file(path_of("conda_specification", conda_specification))
        if pip_requirements:
            python.pip_packages = read_file(path_of("pip_requirements", pip_requirements))
        return cls(
            name,
            python=python,
            docker=DockerSection(base_image=image or "", base_image_registry=container_registry),
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
        text = dockerfile if isinstance(dockerfile, str) else os.fspath(path_of("dockerfile", dockerfile))
        if "\n" not in text and not text.lstrip().upper().startswith("FROM "):
            text = text_of_file(Path(text), "a Dockerfile, or its text")
        environment = cls.from_docker_image(name, "scratch", None, conda_specification, pip_requirements)
        environment.docker = DockerSection(base_dockerfile=text)
        return environment

    @classmethod
    def from_docker_build_context(cls, name: str, docker_build_context: DockerBuildContext) -> Environment:
        """An image built from a folder with a Dockerfile.

        :raises DefinitionError: the name or the context isn't one.
        """
        given: Any = docker_build_context
        given = given or ""  # which is refused, as None would ask for nothing
        python = PythonSection(user_managed_dependencies=True)
        return cls(name, python=python, docker=DockerSection(build_context=given))


class EnvironmentPart(Part):
    """An environment, or the name of a registered one, which is looked up when the run is submitted."""

    NAMED = Text(
        pattern=rf"{NAME}(:[1-9][0-9]{{0,8}})?",
        allowed="an environment, or the name of a registered one",
        mend="write NAME or NAME:VERSION, or its sections as a mapping",
    )

    def __init__(self) -> None:
        super().__init__(Environment)

    def read(self, value: Any, at: At) -> Any:
        return self.NAMED.read(value, at) if isinstance(value, str) else super().read(value, at)

    def also(self) -> list[dict[str, Any]]:
        return [self.NAMED.schema()]

    def plain(self, value: Any) -> Any:
        return value if isinstance(value, str) else super().plain(value)


def give(environment: Any, job: Job) -> None:
    """Let a job run in an environment: what a definition says of it, its name, or None for none."""
    if isinstance(environment, str):
        job.environment = {"registered": environment}
    if not isinstance(environment, Environment):
        return
    job.environment = environment_data(environment)
    job.user_managed = bool(environment.python.user_managed_dependencies)
    job.interpreter_path = environment.python.interpreter_path
    job.environment_variables = dict(environment.environment_variables or {})
    job.shm_size = None if environment.docker.shm_size is None else str(environment.docker.shm_size)


def environment_data(environment: Environment) -> dict[str, Any]:
    """The environment in the form that a `Job` holds."""
    python, docker = environment.python, environment.docker
    conda = python.conda_dependencies or {}
    packages = [item for item in conda.get("dependencies", []) if isinstance(item, str)]
    pip = [
        line for item in conda.get("dependencies", []) if isinstance(item, Mapping) for line in item["pip"]
    ]
    registry, context = docker.base_image_registry, docker.build_context
    said = {
        "name": environment.name,
        "pip_packages": pip + list(python.pip_packages or ()),
        "conda_packages": packages,
        "conda_channels": list(conda.get("channels", ())),
        "image": docker.base_image,
        "dockerfile": docker.base_dockerfile,
        "build_context": context.parameters() if isinstance(context, DockerBuildContext) else None,
        "apt_packages": list(docker.apt_packages or ()),
        "registry": registry.parameters() if isinstance(registry, ContainerRegistry) else None,
        "docker_arguments": docker.arguments,
        "platform": docker.platform,
        "shared_volumes": None if docker.shared_volumes is True else docker.shared_volumes,
    }
    asked = {key: value for key, value in said.items() if value not in (None, [])}
    return asked if set(asked) - {"name"} else {}
