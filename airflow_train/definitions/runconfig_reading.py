"""From a `.runconfig` file, and those that it names, to a `RunConfiguration`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_train.definitions.conda_dependencies import PROJECT_FOLDERS
from airflow_train.definitions.filling import fill
from airflow_train.definitions.report import At, Report
from airflow_train.definitions.report import Path as Place
from airflow_train.definitions.runconfig_names import OWN_NAMES, find, renamed, renamed_place, spelled
from airflow_train.definitions.values import shown
from airflow_train.exceptions import DefinitionError

if TYPE_CHECKING:
    from airflow_train.definitions.run_configuration import RunConfiguration

_Made = TypeVar("_Made", bound="RunConfiguration")

#: Names of the format of the first previews (2018), which held nothing else.
_PREVIEW = ("ArgumentVector", "Target", "Framework", "CondaDependenciesFile", "TrackedRun")
#: What the SDK writes where nobody has chosen anything: (path, values).
_UNCHOSEN: dict[Place, tuple[Any, ...]] = {
    ("command",): ("",),
    ("arguments",): ([],),
    ("docker", "arguments"): ([],),
    ("environment", "docker", "arguments"): ([],),
    ("environment", "docker", "shm_size"): ("2g",),
    ("docker", "shm_size"): ("2g",),
    ("environment", "python", "interpreter_path"): ("python",),
}
_OWN_IMAGES = "mcr.microsoft.com/azureml/"
_OWN_PACKAGES = re.compile(r"azureml-defaults([=~<>! ].*)?")
_OWN_CHANNELS = frozenset({"anaconda", "conda-forge"})


def load(cls: type[_Made], path: str | os.PathLike[str] | None, name: str | None) -> _Made:
    """The run configuration of a file; see `RunConfiguration.load`."""
    file = find(path, name)
    project = file.absolute().parent
    project = project.parent if project.name in PROJECT_FOLDERS else project
    reader = _File(file, project)
    report = Report(str(file), reader.lines, spelled=lambda one: spelled(one, cls, reader.written))
    self = cls.__new__(cls)
    fill(self, reader.read(At(report)), At(report), project)
    report.finish(stacklevel=3)
    return self


class _File:
    """One file, and those that it names, on the way to data with our names; `lines` holds the line of everything."""

    def __init__(self, file: Path, project: Path) -> None:
        from airflow_train.definitions.yaml_file import parsed

        self.file, self.project = file, project
        self.lines: dict[Place, int | str] = {}
        #: Our spelling of names → the file's own.
        self.written: dict[str, str] = {}
        self.document = parsed(file, begin="script: train.py")

    def read(self, at: At) -> dict[str, Any]:
        """The data, without what nobody has chosen."""
        for name in _PREVIEW:
            if name in self.document.data:
                raise DefinitionError(
                    f"{self.file}:{self.document.lines[name,]}: {name} is of the format of Azure ML's previews, which "
                    "isn't read; write script, arguments, target and environment as its releases do."
                )
        self._take_lines(self.document.lines, (), "")
        data: dict[str, Any] = renamed(self.document.data)
        if isinstance(named := data.get("environment"), str):
            data["environment"] = self._environment(named, at)
        if isinstance(data.get("environment"), dict):
            self._refuse_reference(data["environment"], at / "environment")
            self._python(data["environment"], at)
            self._image(data, at)
        return {name: item for name, item in chosen(data, ()).items() if item is not None}

    def _take_lines(self, lines: Mapping[Place, int], below: Place, where: str) -> None:
        for place, line in lines.items():
            ours = renamed_place(place, below)
            self.lines[*below, *ours] = f"{where}:{line}" if where else line
            self.written |= {str(new): str(old) for new, old in zip(ours, place, strict=True) if new != old}

    @staticmethod
    def _refuse_reference(environment: dict[str, Any], at: At) -> None:
        """A name alone stands for an environment that is registered with Azure ML."""
        if environment and set(environment) <= {"name", "version"}:
            named = shown(environment.get("name"))
            at.say(
                f"{at} is only a name, {named}, which stands for an environment registered with Azure ML",
                "write its python and docker sections too",
            )

    def _beside(self, named: str, at: At) -> Path | None:
        """A file that this one names, from the project's folder or from its own."""
        for folder in (self.project, self.file.parent):
            if os.path.isfile(folder / named):
                return folder / named
        at.say(
            f"{at} is {shown(named)} but there is no such file in {self.project}",
            "correct it or leave it out",
        )
        return None

    def _environment(self, named: str, at: At) -> Any:
        from airflow_train.definitions.yaml_file import parsed

        file = self._beside(named, at / "environment")
        if file is None:
            return None
        document = parsed(file, begin="name: NAME")
        self._take_lines(document.lines, ("environment",), str(file))
        return renamed(document.data)

    def _python(self, environment: dict[str, Any], at: At) -> None:
        """Put the packages of the conda file in place of its name."""
        from airflow_train.definitions.yaml_file import parsed

        python, here = environment.get("python"), at / "environment" / "python"
        if not isinstance(python, dict):
            return
        named, place = python.pop("conda_dependencies_file", None), here / "conda_dependencies_file"
        managed = str(python.get("user_managed_dependencies")).lower() == "true"
        if isinstance(named, str) and python.get("conda_dependencies") is None:
            file = self._beside(named, place)
            if file is None:
                return
            document = parsed(file, begin="dependencies: [python=3.12]")
            self._take_lines(document.lines, (*here.path, "conda_dependencies"), str(file))
            python["conda_dependencies"] = document.data
        elif named is not None and not isinstance(named, str):
            place.wrong(named, "a path", "write it as text")
        own = _own_packages(python.get("conda_dependencies"))
        if own is not None:
            if own and not managed:
                said = f"the packages that Azure ML writes of itself ({', '.join(own)}) aren't installed"
                place.note(UserWarning, f"{place}: {said}, because nobody asked for them.")
            python["conda_dependencies"] = None
        elif managed and python.get("conda_dependencies") is not None:
            place.note(UserWarning, f"{place} has no effect: user_managed_dependencies is true.")
            python["conda_dependencies"] = None

    def _image(self, data: dict[str, Any], at: At) -> None:
        """Leave out the image that the SDK writes of itself, unless a container is asked for."""
        docker, asked = data["environment"].get("docker"), data.get("docker")
        wanted = isinstance(asked, Mapping) and str(asked.get("use_docker")).lower() == "true"
        if not isinstance(docker, dict) or wanted:
            return
        image = docker.get("base_image")
        if isinstance(image, str) and image.startswith(_OWN_IMAGES):
            here = at / "environment" / "docker" / "base_image"
            here.note(
                UserWarning, f"{here} has no effect: {image} is of Azure ML, and use_docker isn't true."
            )
            docker["base_image"] = None


def _own_packages(conda: Any) -> list[str] | None:
    """The packages of a conda file that holds only what the SDK writes of itself; None if there is more in it."""
    if not isinstance(conda, Mapping) or not isinstance(packages := conda.get("dependencies"), list):
        return None
    lines: list[Any] = []
    for one in packages:
        lines += one["pip"] if isinstance(one, Mapping) and isinstance(one.get("pip"), list) else [one]
    if not set(map(str, conda.get("channels") or ())) <= _OWN_CHANNELS:
        return None
    if not all(
        isinstance(one, str) and (_OWN_PACKAGES.fullmatch(one) or one.startswith("python=")) for one in lines
    ):
        return None
    return [str(one) for one in lines] if any(_OWN_PACKAGES.fullmatch(one) for one in lines) else None


def chosen(value: Any, place: Place) -> Any:
    """The data without empty values and without what the SDK writes where nobody has chosen anything."""
    if not isinstance(value, Mapping) or (place and place[-1] in OWN_NAMES):
        return value
    kept: dict[str, Any] = {}
    for name, item in value.items():
        here = (*place, name)
        item = _platform(item) if here == ("environment", "docker", "platform") else chosen(item, here)
        if (
            item is not None
            and not (isinstance(item, Mapping) and not item)
            and item not in _UNCHOSEN.get(here, ())
        ):
            kept[name] = item
    return kept


def _platform(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) <= {"os", "architecture"}:
        said = f"{value.get('os') or 'Linux'}/{value.get('architecture') or 'amd64'}".lower()
        return None if said == "linux/amd64" else said
    return value
