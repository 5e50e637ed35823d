"""`.runconfig` files: the YAML that Azure ML keeps a `RunConfiguration` in, with camelCase names.

    PROJECT/.azureml/NAME.runconfig          (aml_config in projects from before 2019)
    PROJECT/.azureml/conda_dependencies.yml  named by `condaDependenciesFile` in it
    PROJECT/.azureml/environment.yml         the environment, where it is kept apart

What the SDK (1.61) writes of itself into every file, such as its own image and `azureml-defaults`, nobody asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_train.definitions.conda_dependencies import PROJECT_FOLDERS
from airflow_train.definitions.parts import Part
from airflow_train.definitions.report import Path as Place
from airflow_train.definitions.values import nearest, shown
from airflow_train.exceptions import DefinitionError

SUFFIX = ".runconfig"
CONDA_FILE, ENVIRONMENT_FILE = "conda_dependencies.yml", "environment.yml"

#: Mappings whose names are the author's own, and lists: nothing in them is spelled differently.
OWN_NAMES = frozenset({
    "environment_variables", "data_references", "data", "output_data", "services", "configuration",
    "conda_dependencies", "auto_cluster_compute_specification",
})  # fmt: skip
#: Names of the file that aren't ours spelled in camelCase.
_RENAMED = {"application_endpoints": "services"}


def is_run_configuration(path: str) -> bool:
    """Whether this names such a file; Azure ML writes them also without their suffix, into a folder of its own."""
    place = Path(path)
    return place.suffix == SUFFIX or (not place.suffix and place.parent.name in PROJECT_FOLDERS)


def place_of(path: Any) -> Path:
    """The file or folder that is named; the current folder by default.

    :raises DefinitionError: it is no path.
    """
    if not isinstance(path, (str, os.PathLike, type(None))):
        raise DefinitionError(
            f"RunConfiguration: path is {shown(path)} but must be a path; write it as text."
        )
    return Path(path or "").expanduser()


def find(path: str | os.PathLike[str] | None, name: str | None) -> Path:
    """The file of a run configuration.

    :raises DefinitionError: there is none.
    """
    place = place_of(path)
    try:
        if not os.path.isdir(place):
            whole = Path(f"{place}{SUFFIX}")
            return place if os.path.exists(place) or not os.path.isfile(whole) else whole
        names = [name, f"{name}{SUFFIX}"] if name else []
        folders = [place / folder for folder in (*PROJECT_FOLDERS, "")]
        for file in (folder / each for folder in folders for each in names):
            if os.path.isfile(file):
                return file
        known = [file.name for folder in folders if folder.is_dir() for file in folder.iterdir()]
    except (OSError, ValueError) as error:
        raise DefinitionError(
            f"RunConfiguration: path is {os.fspath(place)!r}, which can't be read ({error})."
        ) from error
    known = [each for each in known if each.endswith(SUFFIX)]
    if not name:
        mend = (
            f"name one of {', '.join(sorted(known))}"
            if known
            else f"name the file, as in {place / 'NAME.runconfig'}"
        )
        raise DefinitionError(f"RunConfiguration: name is missing for the folder {place}; {mend}.")
    close = nearest(name, [each.removesuffix(SUFFIX) for each in known])
    mend = f"did you mean {close}?" if close else "correct name or path."
    raise DefinitionError(
        f"RunConfiguration: name is {name!r} but there is no such run configuration in {place}; {mend}"
    )


def snake(name: str) -> str:
    """`maxRunDurationSeconds` as we spell it; the SDK reads both."""
    spelled = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)
    return _RENAMED.get(spelled, spelled)


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def renamed(value: Any) -> Any:
    if isinstance(value, Mapping):
        names = {name: snake(name) for name in value}
        return {
            names[name]: item if names[name] in OWN_NAMES else renamed(item) for name, item in value.items()
        }
    return [renamed(item) for item in value] if isinstance(value, list) else value


def renamed_place(place: Place, below: Place) -> Place:
    own = any(part in OWN_NAMES for part in below)
    renamed: list[str | int] = []
    for part in place:
        renamed.append(snake(part) if isinstance(part, str) and not own else part)
        own = own or renamed[-1] in OWN_NAMES
    return tuple(renamed)


def spelled(sentence: str, cls: type[Any], written: Mapping[str, str]) -> str:
    """The sentence with the names that such files have.

    :param cls: the class that the file is read into.
    :param written: our spelling of names → the file's own.
    """
    names = {name: camel(name) for name in _names(cls) if "_" in name} | dict(written)
    words = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    return re.sub(rf"\b({words})\b", lambda found: names[found[1]], sentence)


def _names(cls: type[Any]) -> set[str]:
    found = set(cls.PARAMS)
    for row in cls.PARAMS.values():
        for part in row.kind.classes if isinstance(row.kind, Part) else ():
            found |= _names(part)
    return found
