"""An environment as a folder of files that people edit, as Azure ML keeps them.

FOLDER/azureml_environment.json   everything that the other two don't say, with camelCase names
FOLDER/conda_dependencies.yml     packages of conda and pip
FOLDER/BaseDockerfile             the Dockerfile, where there is one
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow_train.definitions.packages import conda_file
from airflow_train.definitions.runconfig_names import renamed
from airflow_train.definitions.runconfig_reading import chosen
from airflow_train.definitions.runconfig_writing import camel_data
from airflow_train.definitions.text_file import text_of_file
from airflow_train.exceptions import DefinitionError

_DEFINITION, _CONDA, _DOCKERFILE = "azureml_environment.json", "conda_dependencies.yml", "BaseDockerfile"


def save(said: dict[str, Any], path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Write an environment's data; see `Environment.save_to_directory`."""
    from airflow_train.definitions.yaml_file import dumped

    python, docker = dict(said.get("python", {})), dict(said.get("docker", {}))
    conda, dockerfile = python.pop("conda_dependencies", None), docker.pop("base_dockerfile", None)
    rest = camel_data({**said, "python": python, "docker": docker})
    texts = {_DEFINITION: f"{json.dumps(rest, indent=4)}\n"}
    texts |= {_CONDA: dumped(conda)} if conda else {}
    texts |= {_DOCKERFILE: str(dockerfile)} if dockerfile else {}
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=overwrite)
        for name in (_CONDA, _DOCKERFILE):
            (folder / name).unlink(missing_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise DefinitionError(
            f"{folder} is there already; name another folder, or say overwrite=True."
        ) from None
    except OSError as error:
        raise DefinitionError(f"{folder} can't be written ({error.strerror}); correct the path.") from error


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The data that the files of a folder say; see `Environment.load_from_directory`."""
    folder = Path(path)
    file = folder / _DEFINITION
    try:
        data = json.loads(text_of_file(file, "an environment's definition"))
    except ValueError as error:
        raise DefinitionError(f"{file}: this is no JSON ({error}); correct it.") from error
    if not isinstance(data, dict):
        raise DefinitionError(f"{file}: this is no JSON object; correct it.")
    said: dict[str, Any] = chosen({"environment": renamed(data)}, ())["environment"]
    for name, section, key in (
        (_CONDA, "python", "conda_dependencies"),
        (_DOCKERFILE, "docker", "base_dockerfile"),
    ):
        if (folder / name).is_file():
            content = (
                conda_file(folder / name) if name == _CONDA else text_of_file(folder / name, "a Dockerfile")
            )
            said[section] = {**said.get(section, {}), key: content}
    return said
