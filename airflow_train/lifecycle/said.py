"""What callers of `Experiment` and `Run` say about runs and models, checked by the rules of definitions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from airflow_train.definitions.lists import TextMap
from airflow_train.definitions.report import At, Report
from airflow_train.definitions.runnable import EXPERIMENT_PATTERN
from airflow_train.definitions.values import nearest
from airflow_train.exceptions import DefinitionError, ModelError
from airflow_train.runs.status import Status


def experiment(name: Any) -> str:
    """A name as definitions may give to their experiments, too.

    :raises DefinitionError: it is none.
    """
    if not isinstance(name, str) or not re.fullmatch(EXPERIMENT_PATTERN, name):
        raise DefinitionError(
            f"the experiment name {name!r} must start with a letter or digit and hold only ASCII letters, digits, "
            "_ and -, 255 at most; rename it."
        )
    return name


def tags(where: str, values: Any) -> dict[str, str]:
    """Tags as text, by the same rules as those of a definition.

    :param where: what the sentences start with.
    :raises DefinitionError: they are no mapping of names to text.
    """
    report = Report(where, strict=True)
    read = TextMap("tags").read(values, At(report) / "tags")
    report.finish(stacklevel=3)
    return dict(read)


def status(where: str, text: Any) -> Status:
    """A status, in upper or lower case.

    :raises DefinitionError: there is no such status.
    """
    known: dict[str, Status] = {one.lower(): one for one in get_args(Status)}
    if isinstance(text, str) and (found := known.get(text.lower())):
        return found
    near = nearest(text, known)
    mend = f"did you mean {known[near]}?" if near else "leave it out to see all runs."
    raise DefinitionError(f"{where} is {text!r} but must be one of {', '.join(known.values())}; {mend}")


def nothing_else(model: str, values: Mapping[str, Any]) -> None:
    """Parameters of Azure ML's `register_model` that have to stay empty.

    :raises ModelError: one is given.
    """
    for name, value in values.items():
        if value is not None:
            raise ModelError(
                f"{name} of model {model} can't be kept; leave it out, or describe it in tags or properties."
            )
