"""What callers of `Experiment` and `Run` say about runs and models, checked by the rules of definitions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from airflow_train.definitions.lists import TextMap
from airflow_train.definitions.report import At, Report
from airflow_train.definitions.runnable import EXPERIMENT_PATTERN
from airflow_train.definitions.values import nearest, shown
from airflow_train.exceptions import DefinitionError, ModelError
from airflow_train.runs.status import Status


def experiment(name: Any) -> str:
    """A name as definitions may give to their experiments, too.

    :raises DefinitionError: it is none.
    """
    if not isinstance(name, str):
        raise DefinitionError(
            f"the experiment's name is {shown(name)} but must be text: workspaces aren't known here, the name is all; "
            "write Experiment('digits')."
        )
    if not re.fullmatch(EXPERIMENT_PATTERN, name):
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


class ExperimentName(str):
    """Text, and its own `name`, as scripts of Azure ML ask for it."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The same."""
        return str(self)


def which_run(of: Sequence[Any], run_id: str | None, store: Any) -> tuple[str | None, str, Any]:
    """Experiment, id and store of `Run(run_id, store)`, or of `Run(experiment, run_id)` as Azure ML has it.

    :raises DefinitionError: it is neither.
    """
    given = [*of, *(() if run_id is None else (run_id,))]
    experiment = given.pop(0) if given and hasattr(given[0], "get_runs") else None
    if experiment is not None and store is None:
        store = experiment.store
    elif len(given) == 2 and store is None:
        store = given.pop()
    if len(given) != 1 or not isinstance(given[0], str):
        raise DefinitionError(
            "Run takes a run's id, as in Run('digits-abc'), or an experiment and the id, as in Run(experiment, "
            "'digits-abc'); `airflow-train runs list` shows ids."
        )
    return (None if experiment is None else experiment.name), given[0], store


def nothing_else(model: str, values: Mapping[str, Any]) -> None:
    """Parameters of Azure ML's `register_model` that have to stay empty.

    :raises ModelError: one is given.
    """
    for name, value in values.items():
        if value is not None:
            raise ModelError(
                f"{name} of model {model} can't be kept; leave it out, or describe it in tags or properties."
            )
