"""Secrets of a run: resolved by whoever starts it, handed to the target, kept nowhere.

Who can read which kind of reference differs: every process reads `env:`, Airflow's tasks and commands also connections
and variables. So a `Source` is handed in from above; one that can't read a run's secrets leaves the run to another.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_train.definitions.report import At, Report
from airflow_train.definitions.secrets import Reference, Secret, reference
from airflow_train.definitions.suspects import looks_secret
from airflow_train.exceptions import DefinitionError, SecretNotFound, SnapshotError
from airflow_train.runs.spec import RunSpec
from airflow_train.store import source_search
from airflow_train.store.files import Files
from airflow_train.targets.base import REGISTRY_PASSWORD, REGISTRY_USERNAME

#: Shorter values turn up anywhere by chance; `runtime/redaction.py` leaves them alone too.
SHORTEST = 5
#: Files are only searched for values that no programming language says.
SHORTEST_IN_FILES = 8
#: Parts of a spec that a person wrote or that come from outside, and may so hold a secret.
_WRITTEN = ("definition", "experiment", "target", "tags", "properties", "origin")
#: What isn't looked at: the folder of the DAG file is no secret, whatever its name.
_PLACES = frozenset(
    {("definition", "source_directory"), ("definition", "secrets"), ("properties", "ContentSnapshotId")}
)


def from_environment(wanted: Reference) -> str:
    """Value of an `env:` reference; others need Airflow.

    :raises SecretNotFound: it isn't there.
    """
    if wanted.scheme != "env":
        raise SecretNotFound(
            f"only Airflow knows {wanted.scheme}s; submit by an operator or `airflow-train run`, or write env:NAME"
        )
    if wanted.name not in os.environ:
        raise SecretNotFound(
            f"the environment variable {wanted.name} isn't set where the run is started; set it there"
        )
    return os.environ[wanted.name]


@dataclass(frozen=True)
class Source:
    """Where this process gets secrets from.

    :param resolve: the value of a reference; raises SecretNotFound with what is missing, and the mend.
    :param knows: whether a text holds a value that is known to be secret here.
    """

    resolve: Callable[[Reference], str] = from_environment
    knows: Callable[[str], bool] = lambda text: False


ENVIRONMENT = Source()


def values(references: Mapping[str, str], source: Source) -> dict[str, str]:
    """Variable → value.

    :raises SecretNotFound: with one sentence for everything that is missing.
    """
    found: dict[str, str] = {}
    problems = []
    for name, text in references.items():
        try:
            value = source.resolve(reference(text))
            if not value or "\0" in value:
                raise SecretNotFound(f"{'it holds a NUL character' if value else 'it is empty'}; correct it")
            found[name] = value
        except SecretNotFound as error:
            problems.append(f"{_named(name)} is {text}, but {error}.")
    if problems:
        raise SecretNotFound("\n".join(problems))
    return found


def of_spec(spec: RunSpec, source: Source) -> dict[str, str]:
    """The secrets of a run, resolved.

    :raises SecretNotFound: as `values`.
    """
    wanted = references(spec.job)
    return values(wanted, source) if wanted else {}


def references(job: Mapping[str, Any]) -> dict[str, str]:
    """Everything that has to be resolved when a job is started: variables, and the login at its image's registry."""
    found = dict(job.get("secrets") or {})
    registry = job["environment"].get("registry") or {}
    for name, part, field in (
        (REGISTRY_USERNAME, "username", "login"),
        (REGISTRY_PASSWORD, "password", "password"),
    ):
        text = str(registry.get(part) or "")
        if text.startswith(Secret.SCHEMES):
            whole = text.startswith("connection:") and "/" not in text
            found[name] = f"{text}/{field}" if whole else text
    return found


def _named(name: str) -> str:
    """How a definition spells what is resolved under this name."""
    registry, dot, part = name.partition(".")
    return f"image_registry_details.{part}" if dot and registry == "registry" else f"secrets.{name}"


def gathered(draft: RunSpec, source: Source, folder: Path, files: Files) -> dict[str, str]:
    """The secrets of a run that is about to be stored; it is refused when it shows one.

    :param draft: all that is known of the run before its code is stored.
    :param folder: its source directory.
    :param files: the store.
    :raises DefinitionError: with one sentence for each place, without the value.
    :raises SecretNotFound: as `values`.
    :raises SnapshotError: a secret stands in a file that would travel.
    """
    _refuse(draft, source.knows, "a value that Airflow keeps secret")
    found = of_spec(draft, source)
    for name in sorted(name for name, value in found.items() if len(value) < SHORTEST and "." not in name):
        warnings.warn(
            f"secrets.{name} has fewer than {SHORTEST} characters, so it isn't hidden where the script prints it.",
            UserWarning,
            stacklevel=2,
        )
    for name, value in (own := _telling(draft, found)).items():
        _refuse(draft, lambda text, value=value: value in text, f"the value of {_named(name)}")  # type: ignore[misc]
    if own:
        _refuse_in_files(folder, own, files)
    return found


def _telling(draft: RunSpec, found: Mapping[str, str]) -> dict[str, str]:
    """Secrets that no other text says by chance: short ones, host names and settings kept as variables may."""
    told, wanted = {}, references(draft.job)
    for name, value in found.items():
        kept = reference(wanted[name])
        named = kept.scheme == "connection" or looks_secret(name) or looks_secret(kept.name)
        if len(value) >= SHORTEST and kept.private and named:
            told[name] = value
    return told


def _refuse(draft: RunSpec, holds: Callable[[str], bool], what: str) -> None:
    whole = draft.to_json()
    problems = [
        f"{_place(path)} holds {what} (not shown), but a run is stored and shown with everything it was given; "
        'write secrets: {NAME: "connection:ID/password"} and let the script read that environment variable.'
        for path, text in _texts({part: whole[part] for part in _WRITTEN}, ())
        if holds(text)
    ]
    if problems:
        raise DefinitionError(dict.fromkeys(problems))


def _refuse_in_files(folder: Path, own: Mapping[str, str], files: Files) -> None:
    names = {value: name for name, value in own.items() if len(value) >= SHORTEST_IN_FILES}
    problems = [
        f"{folder / file} holds the value of {_named(names[value])} (not shown), and the source directory is stored; "
        "leave it out there, or list the file in .amlignore."
        for file, value in source_search.holding(folder, names, files)
    ]
    if problems:
        raise SnapshotError("\n".join(problems))


def _texts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if path in _PLACES:
        return
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield path, str(key)
            yield from _texts(item, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _texts(item, (*path, number))


def _place(path: tuple[str | int, ...]) -> str:
    inner = path[1:] if path[0] == "definition" else path
    return str(At(Report(""), inner))
