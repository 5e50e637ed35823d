"""From a `RunConfiguration` to a `.runconfig` file, and those that it names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_train.definitions.conda_dependencies import PROJECT_FOLDERS, CondaDependencies
from airflow_train.definitions.runconfig_names import (
    CONDA_FILE,
    ENVIRONMENT_FILE,
    OWN_NAMES,
    SUFFIX,
    camel,
    place_of,
)
from airflow_train.definitions.values import shown
from airflow_train.exceptions import DefinitionError

if TYPE_CHECKING:
    from airflow_train.definitions.run_configuration import RunConfiguration

_NAME = re.compile(r"[A-Za-z0-9_][\w.\-]{0,200}", re.ASCII)


def save(made: RunConfiguration, path: str | os.PathLike[str] | None, name: str | None, apart: bool) -> None:
    """Write a run configuration; see `RunConfiguration.save`."""
    file, project = _target(path, name)
    data = _file_data(made)
    conda = made.environment.python.conda_dependencies
    beside = f"{file.parent.relative_to(project).as_posix()}/" if file.parent != project else ""
    texts: dict[Path, Any] = {}
    if conda:
        conda_file = file.parent / _conda_name(file, conda)
        data["environment"]["python"]["condaDependenciesFile"] = f"{beside}{conda_file.name}"
        texts[conda_file] = conda.as_dict()
    if apart:
        texts[file.parent / ENVIRONMENT_FILE] = data["environment"]
        data["environment"] = f"{beside}{ENVIRONMENT_FILE}"
    texts[file] = data
    _write(texts)


def _target(path: str | os.PathLike[str] | None, name: str | None) -> tuple[Path, Path]:
    """The file to write, and the project's folder."""
    place = place_of(path)
    if not os.path.isdir(place):
        if name is not None:
            raise DefinitionError(
                f"RunConfiguration: name is {shown(name)} for the folder {os.fspath(place)!r}, which isn't there; make "
                "it, or give the file to write as path alone."
            )
        if os.path.isdir(place.parent):
            return place, place.parent
        raise DefinitionError(
            f"RunConfiguration: path is {os.fspath(place)!r} but must be a project's folder, or a file in a folder "
            "that is there; correct it."
        )
    if name is None or not _NAME.fullmatch(name):
        found = (
            "missing"
            if name is None
            else f"{shown(name)} but must be letters, digits, dots, dashes and underscores"
        )
        raise DefinitionError(f"RunConfiguration: name is {found}; write a name such as train.")
    folder = next((one for one in PROJECT_FOLDERS if (place / one).is_dir()), PROJECT_FOLDERS[-1])
    return place / folder / (name if name.endswith(SUFFIX) else f"{name}{SUFFIX}"), place


def _conda_name(file: Path, conda: CondaDependencies) -> str:
    """`conda_dependencies.yml`, unless another run configuration of that folder keeps other packages in it."""
    there = file.parent / CONDA_FILE
    if not there.is_file() or not any(one != file for one in file.parent.glob(f"*{SUFFIX}")):
        return CONDA_FILE
    try:
        same = CondaDependencies(there) == conda
    except DefinitionError:
        same = False
    return CONDA_FILE if same else f"{file.name.removesuffix(SUFFIX)}_{CONDA_FILE}"


def _file_data(made: RunConfiguration) -> dict[str, Any]:
    """What the file says: always the parts that a reader of Azure ML's needs, of the rest what was chosen."""
    said = made.parameters()
    if isinstance(said.get("target"), Mapping):
        raise DefinitionError(
            f"RunConfiguration: target is {shown(said['target'])}, which such a file can't say; "
            "name it in the targets file."
        )
    said = {
        **{
            name: said.get(name, getattr(made, name))
            for name in ("script", "arguments", "target", "framework")
        },
        **{name: getattr(made, name) for name in ("communicator", "node_count")},
        **said,
    }
    said["arguments"] = said["arguments"] or []
    environment = {**said.get("environment", {})}
    python = {key: item for key, item in environment.get("python", {}).items() if key != "conda_dependencies"}
    if python.pop("pip_packages", None):
        raise DefinitionError(
            "RunConfiguration: environment.python.pip_packages can't be said in such a file; "
            "add them by environment.python.conda_dependencies.add_pip_package."
        )
    docker = {**environment.get("docker", {})}
    if platform := docker.get("platform"):
        docker["platform"] = dict(zip(("os", "architecture"), str(platform).split("/", 1), strict=True))
    python.setdefault("user_managed_dependencies", False)  # a name alone would be a reference
    said["environment"] = {**environment, "python": python, **({"docker": docker} if docker else {})}
    return camel_data(said)


def camel_data(value: Mapping[str, Any]) -> dict[str, Any]:
    """The data with the names of such a file."""
    return {
        camel(name): camel_data(item) if isinstance(item, Mapping) and name not in OWN_NAMES else item
        for name, item in value.items()
    }


def _write(texts: Mapping[Path, Any]) -> None:
    from airflow_train.definitions.yaml_file import dumped

    for file, data in texts.items():
        try:
            file.parent.mkdir(exist_ok=True)
            file.write_text(dumped(data), encoding="utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise DefinitionError(
                f"{file}: the file can't be written ({why}); correct the path or its permissions."
            ) from error
