"""Registered environments: numbered versions of a name in the run store, which are made once and never change.

    environments/NAME/0001.json     {"format": 1, "name": …, "version": 1, "created": …, "environment": {…}}

`environment` is what the definition says without its name; a build context lies in the store as a snapshot. Passwords
are references here as everywhere.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from airflow_train.definitions.docker_section import DockerBuildContext
from airflow_train.definitions.environment import Environment, EnvironmentPart
from airflow_train.exceptions import DefinitionError
from airflow_train.runtime import protocol
from airflow_train.store import contexts, layout
from airflow_train.store.files import Files

FORMAT = 1


def register(files: Files, environment: Environment) -> Environment:
    """Keep an environment; a new version only where it differs from the newest one of its name.

    :raises DefinitionError: it is wrong, or a template is left.
    :raises SnapshotError: the folder of its build context can't travel.
    """
    checked = environment.strictly()
    if isinstance(context := checked.docker.build_context, DockerBuildContext):
        checked.docker.build_context = _in_store(files, context, checked.home()[1] or Path())
    said = {key: item for key, item in checked.parameters().items() if key != "name"}
    taken = versions(files, checked.name)
    number = taken[-1] if taken else 1
    while True:
        made = {"format": FORMAT, "name": checked.name, "version": number, "created": protocol.timestamp()}
        name = layout.environment(checked.name, number)
        if files.create_json(name, {**made, "environment": said}) or _read(files, name) == said:
            return _made(checked.name, number, said)
        number += 1


def find(files: Files, named: object) -> Environment:
    """The environment of `NAME` (its newest version) or `NAME:VERSION`.

    :raises DefinitionError: there is none, or this is no name.
    """
    if not isinstance(named, str) or not EnvironmentPart.NAMED.fits(named):
        raise DefinitionError(f"{named!r} names no environment; write NAME or NAME:VERSION.")
    name, _, version = named.partition(":")
    taken = versions(files, name)
    if not taken:
        known = names(files)
        close = difflib.get_close_matches(name, known, n=1)
        some = (
            f"registered are {', '.join(known)}"
            if known
            else "none is registered; `airflow-train environments register FILE` does it"
        )
        hint = f"did you mean {close[0]}?" if close else f"{some}."
        raise DefinitionError(f"There is no environment {name} in {files.uri}; {hint}")
    number = int(version) if version else taken[-1]
    if number not in taken:
        raise DefinitionError(
            f"There is no version {number} of environment {name} in {files.uri}; "
            f"it has {', '.join(map(str, taken))}."
        )
    return _made(name, number, _read(files, layout.environment(name, number)))


def names(files: Files) -> list[str]:
    """Names that were registered; who is killed meanwhile leaves one without a version."""
    return [name for name in files.list(layout.environments()) if versions(files, name)]


def versions(files: Files, name: str) -> list[int]:
    """Versions of a name, oldest first."""
    return files.numbers(layout.environment(name))


def newest(files: Files) -> dict[str, Environment]:
    """The newest version of every name."""
    return {name: find(files, name) for name in names(files)}


def _read(files: Files, name: str) -> dict[str, Any]:
    document = files.read_json(name)
    if document["format"] != FORMAT:
        raise DefinitionError(f"{files.join(name)} has format {document['format']}; upgrade airflow-train.")
    said: dict[str, Any] = document["environment"]
    return said


def _made(name: str, number: int, said: dict[str, Any]) -> Environment:
    made = Environment.from_dict({**json.loads(json.dumps(said)), "name": name}, strict=False, warn=False)
    object.__setattr__(made, "version", str(number))  # what nobody can give: it says where this comes from
    return made


def _in_store(files: Files, context: DockerBuildContext, base: Path) -> DockerBuildContext:
    if context.location_type == "snapshot":
        return context
    folder = base / Path(context.location).expanduser()
    if not folder.is_dir():
        raise DefinitionError(
            f"docker.build_context.location is {str(context.location)!r} but there is no folder {folder.absolute()}; "
            "correct it."
        )
    dockerfile = str(context.dockerfile_path)
    taken = contexts.take(files, folder, dockerfile)
    contexts.read_text(files, taken, dockerfile)
    return DockerBuildContext(taken, dockerfile, location_type="snapshot")
