"""What a job's environment stands for, put in its place: files are read, names looked up, folders hashed.

After it a job says by itself what is to be built, so that whoever plans or submits it needs none of these again.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_train.definitions.docker_section import DockerBuildContext
from airflow_train.definitions.environment import give
from airflow_train.definitions.image_text import login_in
from airflow_train.definitions.job import Job
from airflow_train.definitions.package_text import is_option
from airflow_train.definitions.packages import conda_file
from airflow_train.definitions.requirement_lines import read_file
from airflow_train.definitions.text_file import text_of_file
from airflow_train.environments import registry
from airflow_train.environments.recipe import Recipe, overridden, recipe_of
from airflow_train.exceptions import DefinitionError
from airflow_train.store import contexts
from airflow_train.store.files import Files


@dataclass(frozen=True)
class Prepared:
    """A job that says by itself what is to be built."""

    job: Mapping[str, Any]
    #: Folder whose content has to be in the store before anybody builds; its id is in the job.
    context: Path | None = None
    #: Its Dockerfile, a path in it.
    dockerfile_path: str = ""

    def kept(self, files: Files) -> Mapping[str, Any]:
        """The job, with its build context in the store, as it is by now.

        :raises SnapshotError: the folder can't travel.
        """
        if self.context is None:
            return self.job
        asked = self.job["environment"]
        taken = contexts.take(files, self.context, self.dockerfile_path)
        dockerfile = contexts.read_text(files, taken, self.dockerfile_path)
        return {**self.job, "environment": {**asked, "context": taken, "dockerfile": dockerfile}}


def prepare(job: Mapping[str, Any], source: Path, base: Path, files: Files) -> Prepared:
    """A job with nothing left in its environment that has to be read; writes nothing.

    :param source: the job's source directory.
    :param base: folder that a build context is relative to.
    :raises DefinitionError: a file is wrong, a name isn't registered, or a framework can't be installed.
    :raises SnapshotError: the folder of a build context can't travel.
    """
    whole = _of_registered(dict(job), files)
    asked = dict(whole["environment"])
    if named := asked.pop("pip_requirements_file", None):
        asked["pip_packages"] = [*asked.get("pip_packages", ()), *read_file(source / named)]
    if named := asked.pop("conda_dependencies_file", None):
        asked |= _of_conda(conda_file(source / named))
    folder, dockerfile = None, ""
    if said := asked.pop("build_context", None):
        context = DockerBuildContext(**said)
        folder, dockerfile = _of_context(asked, context, base, files), str(context.dockerfile_path)
    whole["environment"] = asked
    if line := login_in(asked.get("dockerfile") or ""):
        raise DefinitionError(
            f"The Dockerfile holds the login of an address in line {line}, and its text is stored and shown; use an "
            "image that has the configuration of pip or apt for it."
        )
    _check_hashes(recipe_of(whole))
    if chosen := overridden(whole):
        warnings.warn(
            f"{', '.join(chosen)} {'is' if len(chosen) == 1 else 'are'} installed as the definition says and "
            f"not as {whole['framework']} is installed otherwise; nobody has tried them together.",
            UserWarning,
            stacklevel=2,
        )
    return Prepared(whole, folder, dockerfile)


def _check_hashes(recipe: Recipe | None) -> None:
    """Refuse hashes of some packages only, which pip doesn't take."""
    lines = [] if recipe is None or not recipe.hashed else [one for one in recipe.pip if not is_option(one)]
    without = [one for one in lines if " --hash" not in one]
    if without:
        raise DefinitionError(
            f"{without[0]} has no --hash, but other packages have; give one to all of them and to what they need, as "
            "`uv pip compile --generate-hashes` writes them, or to none."
        )


def _of_registered(job: dict[str, Any], files: Files) -> dict[str, Any]:
    """The job with what a registered environment says, in place of its name; variables of a run configuration win."""
    beside = dict(job["environment"])
    named = beside.pop("registered", None)
    if named is None:
        return job
    environment = registry.find(files, str(named))
    made = Job.from_dict(job)
    give(environment, made)
    if made.environment:
        made.environment["name"] = f"{environment.name}:{environment.version}"
    made.environment |= beside
    made.environment_variables |= job["environment_variables"]
    made.shm_size = job["shm_size"] or made.shm_size
    return made.to_dict()


def _of_conda(read: Mapping[str, Any]) -> dict[str, Any]:
    items = read.get("dependencies", [])
    said = {
        "conda_packages": [one for one in items if isinstance(one, str)],
        "pip_packages": [line for one in items if isinstance(one, Mapping) for line in one["pip"]],
        "conda_channels": list(read.get("channels", ())),
    }
    return {name: found for name, found in said.items() if found}


def _of_context(asked: dict[str, Any], context: DockerBuildContext, base: Path, files: Files) -> Path | None:
    """Put a build context's id and Dockerfile into an environment; returns the folder, if it is one."""
    named = str(context.dockerfile_path)
    if context.location_type == "snapshot":
        asked["context"] = str(context.location)
        asked["dockerfile"] = contexts.read_text(files, str(context.location), named)
        return None
    folder = base / Path(context.location).expanduser()
    if not folder.is_dir():
        raise DefinitionError(
            f"docker.build_context.location is {str(context.location)!r} but there is no folder {folder}; correct it."
        )
    asked["dockerfile"] = text_of_file(folder / named, "a Dockerfile")
    asked["context"] = contexts.identify(files, folder, named)
    return folder
