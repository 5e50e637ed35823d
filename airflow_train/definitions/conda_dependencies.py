"""`CondaDependencies`: the packages of a conda file, changed one by one as scripts for Azure ML do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from airflow_train.definitions.kinds import Kind
from airflow_train.definitions.package_text import (
    conda_name,
    honoured,
    is_option,
    package_text,
    package_texts,
    pip_line_texts,
    pip_name,
    pip_option_text,
    pip_package_text,
)
from airflow_train.definitions.packages import CondaFile, conda_file
from airflow_train.definitions.report import At
from airflow_train.exceptions import DefinitionError

#: Folders of a project that run configurations lie in: the old one where it is there, as the original has it.
PROJECT_FOLDERS = ("aml_config", ".azureml")

_VERSION = re.compile(r"\d+(\.\d+)*([ab]\d+|rc\d+)?")


class CondaDependencies(Mapping[str, Any]):
    """Conda packages, pip packages and channels; as a mapping it is what a conda file holds.

    It begins empty, since nothing is installed that nobody asked for: no Python of its own, and no `azureml-defaults`,
    which runs don't need here.

    :param conda_dependencies_file_path: a conda file to begin with.
    :raises DefinitionError: the file can't be read or has unknown keys.
    """

    def __init__(self, conda_dependencies_file_path: str | os.PathLike[str] | None = None) -> None:
        self._channels: list[str] = []
        self._packages: list[str] = []
        self._pip: list[str] = []
        if conda_dependencies_file_path is not None:
            self._take(conda_file(Path(conda_dependencies_file_path)))

    def _take(self, read: Mapping[str, Any]) -> None:
        packages = read.get("dependencies", ())
        self._channels = list(read.get("channels", ()))
        self._packages = [one for one in packages if not isinstance(one, Mapping)]
        self._pip = [line for one in packages if isinstance(one, Mapping) for line in one["pip"]]

    @classmethod
    def create(
        cls,
        pip_indexurl: str | None = None,
        pip_packages: Iterable[str] | None = None,
        conda_packages: Iterable[str] | None = None,
        python_version: str | None = None,
        pin_sdk_version: bool = True,
    ) -> CondaDependencies:
        """Packages as listed.

        :param pip_indexurl: where pip looks for packages, as its option `--index-url`.
        :param python_version: version of Python; by default none is asked for.
        :param pin_sdk_version: accepted without effect, as no package of Azure ML is added.
        :raises DefinitionError: something isn't a package, version or address.
        """
        del pin_sdk_version
        self = cls()
        if python_version is not None:
            self.set_python_version(python_version)
        if pip_indexurl is not None:
            self.set_pip_option(f"--index-url {package_text('pip_indexurl', pip_indexurl)}")
        for package in package_texts("conda_packages", conda_packages):
            self.add_conda_package(package)
        for package in package_texts("pip_packages", pip_packages):
            self.add_pip_package(package)
        return self

    @classmethod
    def from_checked(cls, read: Mapping[str, Any]) -> CondaDependencies:
        """The packages of a conda file's data, of which nothing is checked again."""
        self = cls()
        self._take(read)
        return self

    # ------------------------------------------------------------------ what is there

    @property
    def conda_channels(self) -> Iterator[str]:
        """Channels, first one first."""
        return iter(list(self._channels))

    @property
    def conda_packages(self) -> Iterator[str]:
        """Conda packages as they are written, Python among them."""
        return iter(list(self._packages))

    @property
    def pip_packages(self) -> Iterator[str]:
        """Pip packages as they are written, without options."""
        return iter([line for line in self._pip if not is_option(line)])

    @property
    def pip_options(self) -> Iterator[str]:
        """Options of pip, such as `--index-url …`."""
        return iter([line for line in self._pip if is_option(line)])

    def get_python_version(self) -> str | None:
        """Version of Python that is asked for; None for any."""
        for one in self._packages:
            if conda_name(one) == "python":
                return one.partition("python")[2].lstrip("= ") or None
        return None

    # ------------------------------------------------------------------ changes

    def set_python_version(self, version: str) -> None:
        """Ask for a version of Python, in place of any other.

        :raises DefinitionError: it is no version.
        """
        if not _VERSION.fullmatch(package_text("version", version)):
            raise DefinitionError(
                f"CondaDependencies: version is {version!r} but must be a version; write 3.12 or 3.12.4."
            )
        places = [place for place, one in enumerate(self._packages) if conda_name(one) == "python"]
        self._packages[places[0] if places else 0 : places[0] + 1 if places else 0] = [f"python={version}"]

    def add_channel(self, channel: str) -> None:
        """Add a channel after the others, once."""
        if honoured("channel", package_text("channel", channel), pip=False) not in self._channels:
            self._channels.append(channel)

    def remove_channel(self, channel: str) -> None:
        """Remove a channel, if it is there."""
        self._channels = [one for one in self._channels if one != package_text("channel", channel)]

    def add_conda_package(self, conda_package: str) -> None:
        """Add a conda package, such as `numpy=2.1`, once; of Python there is only one version."""
        text = honoured("conda_package", package_text("conda_package", conda_package), pip=False)
        version = text.partition("python")[2].lstrip("= ")
        if conda_name(text) == "python" and _VERSION.fullmatch(version):
            self.set_python_version(version)
        elif text not in self._packages:
            self._packages.append(text)

    def remove_conda_package(self, conda_package: str) -> None:
        """Remove a conda package as it is written or, by its bare name, in every version.

        :raises DefinitionError: it is Python, which everything else needs.
        """
        text = package_text("conda_package", conda_package)
        if conda_name(text) == "python":
            raise DefinitionError(
                "CondaDependencies: python can't be removed; ask for another one by set_python_version."
            )
        self._packages = [one for one in self._packages if text not in (one, conda_name(one))]

    def add_pip_package(self, pip_package: str) -> None:
        """Add a pip package, in place of any other version of it.

        :raises DefinitionError: it is an option of pip, or can't be honoured wherever it is installed.
        """
        text = honoured("pip_package", pip_package_text(pip_package))
        self.remove_pip_package(text)
        self._pip.append(text)

    def remove_pip_package(self, pip_package: str) -> None:
        """Remove a pip package, whatever its version and extras."""
        name = pip_name(pip_package_text(pip_package))
        self._pip = [one for one in self._pip if is_option(one) or pip_name(one) != name]

    def set_pip_requirements(self, pip_requirements: Iterable[str]) -> None:
        """Replace all packages and options of pip."""
        self._pip = pip_line_texts("pip_requirements", pip_requirements)

    def set_pip_option(self, pip_option: str) -> None:
        """Add an option of pip, in place of the same one with another value.

        :raises DefinitionError: it doesn't begin with a dash, or can't be honoured wherever packages are installed.
        """
        text = honoured("pip_option", pip_option_text(pip_option))
        places = [place for place, one in enumerate(self._pip) if str(one).split()[0] == text.split()[0]]
        if places:
            self._pip[places[0]] = text
        else:
            self._pip.append(text)

    def remove_pip_option(self, pip_option: str) -> None:
        """Remove an option of pip, whatever its value."""
        name = pip_option_text(pip_option).split()[0]
        self._pip = [one for one in self._pip if str(one).split()[0] != name]

    # ------------------------------------------------------------------ the file

    def as_dict(self) -> dict[str, Any]:
        """What a conda file holds, as plain data."""
        packages = [*self._packages, *([{"pip": list(self._pip)}] if self._pip else [])]
        said = {"channels": list(self._channels), "dependencies": packages}
        return {key: value for key, value in said.items() if value}

    def serialize_to_string(self) -> str:
        """The text of a conda file."""
        from airflow_train.definitions.yaml_file import dumped

        return dumped(self.as_dict())

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write a conda file; returns its path.

        :raises DefinitionError: it can't be written there.
        """
        try:
            Path(path).write_text(self.serialize_to_string(), encoding="utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise DefinitionError(
                f"CondaDependencies: path is {os.fspath(path)!r}, which can't be written ({why}); "
                "name a file in a folder that is there."
            ) from error
        return os.fspath(path)

    def save_to_file(
        self, base_directory: str | os.PathLike[str], conda_file_path: str | os.PathLike[str] | None = None
    ) -> str:
        """Write a conda file below a project's folder; returns its path from there.

        :param conda_file_path: default `auto_conda_dependencies.yml` in the project's folder for run configurations.
        :raises DefinitionError: it can't be written there.
        """
        if conda_file_path is None:
            folder = next((one for one in PROJECT_FOLDERS if Path(base_directory, one).is_dir()), ".")
            conda_file_path = f"{folder}/auto_conda_dependencies.yml"
        self.save(Path(base_directory, conda_file_path))
        return os.fspath(conda_file_path)

    def __getitem__(self, key: str) -> Any:
        return self.as_dict()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_dict())

    def __len__(self) -> int:
        return len(self.as_dict())

    def __repr__(self) -> str:
        return f"CondaDependencies({self.as_dict()!r})"


class CondaPart(Kind):
    """A parameter that holds `CondaDependencies`, also given as a conda file's data."""

    holds_references = True

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, CondaDependencies):
            return value
        read = CondaFile().read(value, at)
        return None if read is None else CondaDependencies.from_checked(read)

    def initial(self, default: Any) -> Any:
        del default
        return CondaDependencies()

    def plain(self, value: Any) -> Any:
        return value.as_dict()

    def schema(self) -> dict[str, Any]:
        return CondaFile().schema()
