"""Secrets of a run: resolved by whoever starts it, handed to the target, kept nowhere.

Who can read which kind of reference differs: every process reads `env:`, Airflow's tasks and commands also connections
and variables. So a `Source` is handed in from above; one that can't read a run's secrets leaves the run to another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_train.definitions.report import At, Report
from airflow_train.definitions.secrets import Reference, reference
from airflow_train.exceptions import DefinitionError, SecretNotFound
from airflow_train.runs.spec import RunSpec

#: Shorter values turn up anywhere by chance; `runtime/redaction.py` leaves them alone too.
SHORTEST = 5
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
            problems.append(f"secrets.{name} is {text}, but {error}.")
    if problems:
        raise SecretNotFound("\n".join(problems))
    return found


def of_spec(spec: RunSpec, source: Source) -> dict[str, str]:
    """The secrets of a run, resolved.

    :raises SecretNotFound: as `values`.
    """
    references = spec.job.get("secrets")
    return values(references, source) if references else {}


def refuse_in(spec: RunSpec, found: Mapping[str, str], source: Source) -> None:
    """Refuse a spec that holds a secret: it is about to be stored, shown and logged.

    :param found: the run's own secrets, resolved.
    :raises DefinitionError: with one sentence for each place, without the value.
    """
    references = spec.job.get("secrets") or {}
    private = {
        name: value
        for name, value in found.items()
        if len(value) >= SHORTEST and reference(references[name]).private
    }
    problems = []
    whole = spec.to_json()
    for path, text in _texts({part: whole[part] for part in _WRITTEN}, ()):
        name = next((name for name, value in private.items() if value in text), None)
        if name is not None or source.knows(text):
            what = f"the value of secrets.{name}" if name is not None else "a value that Airflow keeps secret"
            problems.append(
                f"{_place(path)} holds {what} (not shown), but a run is stored and shown with everything it was given; "
                'write secrets: {NAME: "connection:ID/password"} and let the script read that environment variable.'
            )
    if problems:
        raise DefinitionError(dict.fromkeys(problems))


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
