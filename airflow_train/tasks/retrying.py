"""Which ends of a run are tried again: plain names for the branches of `exceptions.py` below `RunNotCompleted`.

Cheap and without Airflow: DAG files that say `retry_on` import it. The names are those of the classes, but for the
three that people call otherwise; what a later version adds to the tree gets its name by itself.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from airflow_train.exceptions import (
    DefinitionError,
    InfrastructureFailure,
    RunCanceled,
    RunFailed,
    RunNotCompleted,
    TimeLimitReached,
    WorkerLeft,
)

_CALLED = {
    RunFailed: "script_error",
    InfrastructureFailure: "infrastructure",
    TimeLimitReached: "time_limit",
}
#: Never a matter of choice: a cancelled run stays cancelled, and the run of a worker that left is taken over.
_SETTLED = (RunCanceled, WorkerLeft)


def names() -> dict[str, type[RunNotCompleted]]:
    """Name → class of error, for every way in which a run can fail."""
    return {_name(one): one for one in _below(RunNotCompleted)}


def read(where: str, retry_on: Any) -> tuple[str, ...]:
    """Names, classes of `exceptions.py` or a mixture as names; a class stands for all below it, too.

    :param where: what the sentence starts with.
    :raises DefinitionError: something else is among them.
    """
    if isinstance(retry_on, (str, type)):
        retry_on = (retry_on,)
    known = names()
    mend = f"use some of {', '.join(known)}"
    if not isinstance(retry_on, Sequence):
        raise DefinitionError(f"{where}: retry_on is {retry_on!r} but must be a list; {mend}.")
    found: dict[str, None] = {}
    for one in retry_on:
        if isinstance(one, type) and issubclass(one, RunNotCompleted) and not issubclass(one, _SETTLED):
            found |= {_name(each): None for each in _below(one)}
        elif isinstance(one, str) and one in known:
            found[one] = None
        else:
            near = difflib.get_close_matches(str(one), known, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"{mend}, or classes of airflow_train.exceptions."
            )
            shown = one.__name__ if isinstance(one, type) else repr(one)
            raise DefinitionError(
                f"{where}: retry_on holds {shown}, which is no way for a run to fail that a retry could mend; {hint}"
            )
    return tuple(found)


def name_of(error: BaseException) -> str | None:
    """The name of an error's branch; None when it isn't how a run failed."""
    if isinstance(error, _SETTLED) or not isinstance(error, RunNotCompleted):
        return None
    return _name(next(one for one in type(error).__mro__ if one.__module__ == RunNotCompleted.__module__))


def _below(kind: type[RunNotCompleted]) -> Iterator[type[RunNotCompleted]]:
    if issubclass(kind, _SETTLED):
        return
    if kind is not RunNotCompleted:
        yield kind
    for one in kind.__subclasses__():
        if one.__module__ == RunNotCompleted.__module__:  # a target may tell kinds apart that people needn't
            yield from _below(one)


def _name(kind: type[RunNotCompleted]) -> str:
    return _CALLED.get(kind) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
