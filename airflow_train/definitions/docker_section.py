"""The container side of an `Environment`: an image, or what one is built from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

from airflow_train.definitions.definition import Definition
from airflow_train.definitions.image_text import DockerfileText, ImageName
from airflow_train.definitions.kinds import Flag, PathText, Text
from airflow_train.definitions.lists import Arguments, TextList
from airflow_train.definitions.parameters import param
from airflow_train.definitions.parts import Part
from airflow_train.definitions.report import At
from airflow_train.definitions.secrets import Public, Secret
from airflow_train.definitions.sizes import Size
from airflow_train.definitions.unused import Anything
from airflow_train.definitions.values import is_deferred

#: Of these an environment has at most one: setting one resets the others.
_ONE_OF = ("base_image", "base_dockerfile", "build_context")


class AptPackages(TextList):
    """Packages of Debian or Ubuntu: `NAME`, perhaps with `:ARCHITECTURE`, and with `=VERSION` or `/RELEASE`."""

    #: https://www.debian.org/doc/debian-policy/ch-controlfields.html#source, #version
    #: What ends with a dash, apt-get removes.
    PATTERN = r"[a-z0-9][a-z0-9+.\-]*[a-z0-9+.](:[a-z0-9\-]+)?(=[A-Za-z0-9.+:~\-]+|/[a-z0-9.\-]+)?"

    def __init__(self) -> None:
        super().__init__("[libgomp1, git]")

    def _item(self, item: Any, at: At) -> Any:
        read = super()._item(item, at)
        if read is None or is_deferred(read):
            return read
        if not Text(pattern=self.PATTERN).fits(str(read)):
            return at.wrong(
                item, "a package as apt-get install takes it", "write name, name=version or name/release"
            )
        return read

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": Text(pattern=self.PATTERN).schema()}


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


class DockerBuildContext(Definition):
    """A folder with a Dockerfile and what it copies; `.dockerignore` says what stays behind."""

    location: str | os.PathLike[str] = param(
        PathText(),
        kw_only=False,
        doc="The folder, relative to the DAG's or YAML file; or the id of a snapshot.",
    )
    dockerfile_path: str = param(
        PathText(inside="location"),
        default="Dockerfile",
        kw_only=False,
        doc="The Dockerfile, a path in that folder.",
    )
    location_type: str = param(
        Text(choices=("local", "snapshot")),
        default="local",
        doc="`local`: a folder. `snapshot`: a context that lies in the run store already.",
    )

    @classmethod
    def from_local_directory(
        cls, path: str | os.PathLike[str], dockerfile_path: str = "Dockerfile"
    ) -> DockerBuildContext:
        """The context of a folder of this machine.

        :param path: relative to the folder of the DAG or definition file.
        :raises DefinitionError: it is no path.
        """
        return cls(location=path, dockerfile_path=dockerfile_path)


class DockerSection(Definition):
    """The container side of an `Environment`. An image, a Dockerfile or a folder to build one from: setting one resets
    the others."""

    base_image: str | None = param(ImageName(), default=None, doc="Image to start from.")
    base_dockerfile: str | None = param(
        DockerfileText(), default=None, doc="Text of a Dockerfile to build the image from."
    )
    build_context: DockerBuildContext | Mapping[str, Any] | None = param(
        Part(DockerBuildContext), default=None, doc="Folder with a Dockerfile to build the image from."
    )
    apt_packages: list[str] | None = param(
        AptPackages(), default=None, doc="Packages of Debian or Ubuntu to install in the image."
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
        """At most one thing that an image comes from."""
        first, *others = [name for name in _ONE_OF if getattr(self, name)] or [""]
        for other in others:
            at.say(f"{at / first} and {other} are both given", "give one of them")

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        for other in _ONE_OF if name in _ONE_OF and value else ():
            if other != name and getattr(self, other):
                object.__setattr__(self, other, None)
                warnings.warn(f"{name} replaces {other}, which is now empty.", UserWarning, stacklevel=2)
