"""How values come into a definition: found in the table of parameters, checked by their kind, moved if deprecated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_train.definitions.kinds import deferred
from airflow_train.definitions.parameters import REQUIRED, Param
from airflow_train.definitions.report import At
from airflow_train.definitions.values import MAX_VALUES, nearest, shown, unfit

if TYPE_CHECKING:
    from airflow_train.definitions.definition import Definition


def fill(self: Definition, data: Mapping[str, Any], at: At, folder: Path | None) -> None:
    """Give every parameter its value or default, then apply the class's own rules."""
    self._folder, self._where, self._lines = folder, at.report.where, at.report.lines
    for name, row in self.PARAMS.items():
        object.__setattr__(self, name, row.initial())
    for name in data:
        if name not in self.PARAMS:
            find(self, name, at)
    for name, row in self.PARAMS.items():
        value = data.get(name)
        if value is None and row.default is REQUIRED:
            if not at.failed(name):
                (at / name).say(
                    f"{at / name} is missing", f"add it: {row.doc[0].lower()}{row.doc[1:].rstrip('.')}"
                )
        elif value is not None:
            put(self, row, value, at, data)
        elif row.unsaid:
            (at / name).note(UserWarning, row.unsaid)
    self.check(at)


def find(self: Definition, name: str, at: At) -> Param | None:
    """The row of a name; for a name that the class hasn't, a report and None."""
    cls = type(self)
    if row := cls.PARAMS.get(name):
        return row
    if reason := cls.ABSENT.get(name):
        finding, _, mend = reason.partition("; ")
        at.report.excuse((*at.path, mend.removeprefix("write ")))
        (at / name).say(
            f"{cls.__name__} has no {name}: {finding}", mend or "leave it out or use another class"
        )
        return None
    known = [other for other, row in cls.PARAMS.items() if row.kept]
    close = nearest(name, known)
    if close:
        at.report.excuse((*at.path, close))
    mend = f"did you mean {close}?" if close else f"it has {', '.join(known)}"
    (at / name).say(f"{shown(name).strip(chr(39))} is no parameter of {cls.__name__}", mend)
    return None


def put(self: Definition, row: Param, value: Any, at: At, data: Mapping[str, Any] | None = None) -> None:
    """Check one value and keep it; None stands for the default.

    :param data: what is given beside it, for names that replace others.
    """
    here = at / row.name
    if value is None:
        object.__setattr__(self, row.name, row.initial())
        return
    if isinstance(value, Iterator):
        value = list(islice(value, MAX_VALUES + 1))
    if problem := unfit(value):
        here.say(f"{here} {problem}")
        return
    if row.meaningless:
        if row.kind.says_nothing(value):
            return
        here.note(UserWarning, f"{row.name} has no effect: {row.meaningless}.")
        return
    read = value if deferred(value, row.kind, here) else row.kind.read(value, here)
    if row.deprecated_for:
        _replace(self, row, read, here, data or {})
    elif read is not None:
        object.__setattr__(self, row.name, str(read) if isinstance(read, str) else read)


def _replace(self: Definition, row: Param, read: Any, here: At, data: Mapping[str, Any]) -> None:
    successor, _, inner = row.deprecated_for.partition(".")
    if inner:
        _replace_inside(self, row, read, here)
        return
    both = data.get(successor) is not None
    if both and row.name in self.EXCLUSIVE:
        here.say(f"{row.name} and {successor} are both given", f"leave out {row.name}, which is deprecated")
        return
    here.note(
        FutureWarning,
        f"{row.name} is deprecated; write {successor} instead"
        + (", which is used since both are given." if both else "."),
    )
    if read is not None and not both:
        put(self, self.PARAMS[successor], read, At(here.report, (*here.path[:-1], successor)))


def _replace_inside(self: Definition, row: Param, read: Any, here: At) -> None:
    """A parameter that has moved into what another one holds, which comes before it in the table."""
    successor, _, inner = row.deprecated_for.partition(".")
    part = getattr(self, successor)
    if inner not in getattr(part, "PARAMS", ()):
        here.note(UserWarning, f"{row.name} has no effect: no {successor} is given that counts them.")
        return
    both = part.given(inner)
    here.note(
        FutureWarning,
        f"{row.name} is deprecated; write {row.deprecated_for} instead"
        + (", which is used since both are given." if both else "."),
    )
    if read is not None and not both:
        changed = deepcopy(part)  # the author's own object stays as it is
        put(changed, part.PARAMS[inner], read, At(here.report, (*here.path[:-1], successor)))
        object.__setattr__(self, successor, changed)
