"""`ChildRun`: a run inside a run, made by its script; what lies below `children/` of the run (`azureml_run/run.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_train.lifecycle import said
from airflow_train.lifecycle.files import RunFiles
from airflow_train.runs import metrics
from airflow_train.store import layout
from airflow_train.store.files import Files
from airflow_train.store.live import Live

if TYPE_CHECKING:
    from airflow_train.lifecycle.run import Run


#: Type of a run that was submitted, as Azure ML calls it, and of one that a script made inside it.
SUBMITTED, CHILD = "azureml.scriptrun", "child"


class ChildRun(RunFiles):
    """One child run; its metrics, tags and files are its own, everything else is that of the run around it."""

    type = CHILD

    def __init__(self, top: Run, above: tuple[str, ...], document: Mapping[str, Any]) -> None:
        self._top, self._above, self._document = top, above, document

    def __repr__(self) -> str:
        return f"ChildRun(id={self.id!r}, status={self.get_status()!r})"

    @property
    def id(self) -> str:
        """`<id of the parent>_<number>`."""
        return str(self._document["id"])

    @property
    def name(self) -> str:
        """As the script named it; its id otherwise."""
        return str(self._document["name"] or self.id)

    @property
    def display_name(self) -> str:
        """As `name`."""
        return self.name

    @property
    def parent(self) -> Run | ChildRun:
        """What it is a child of."""
        if len(self._above) == 1:
            return self._top
        siblings = children(self._top, self._above[:-2])
        return next(one for one in siblings if one._above == self._above[:-1])  # noqa: SLF001 - its own kind

    @property
    def properties(self) -> dict[str, str]:
        """Facts that never change: what the script added to this child, and those of the run around it."""
        return metrics.fold_properties(self._top.properties, [self._lines()])

    @property
    def tags(self) -> dict[str, str]:
        """Tags as they stand now."""
        return metrics.fold_tags(self._document["tags"], [self._lines()])

    def get_metrics(
        self,
        name: str | None = None,
        recursive: bool = False,
        run_type: str | None = None,
        populate: bool = False,
    ) -> dict[str, Any]:
        """What the script logged for this child; as `Run.get_metrics`."""
        del populate
        own = metrics.fold([self._lines()], name)
        return of_all(self, own, name, run_type) if recursive else own

    def get_status(self) -> str:
        """As the script ended it, else the status of the run around it."""
        return metrics.ended_as(self._lines()) or self._top.get_status()

    def get_children(
        self,
        recursive: bool = False,
        tags: str | Mapping[str, str] | None = None,
        properties: str | Mapping[str, str] | None = None,
        type: str | None = None,  # noqa: A002 - the original's name
        status: str | None = None,
    ) -> list[ChildRun]:
        """Children of this child; as `Run.get_children`."""
        found = children(self._top, self._above, recursive=recursive)
        return [one for one in found if matches(one, tags, properties, type, status)]

    def _place(self) -> tuple[Files, str, str]:
        below = "".join(f"children/{number}/" for number in self._above)
        return self._top.files, self._top.id, below

    def _lines(self) -> bytes:
        folder = layout.children(self._top.id, *self._above[:-1])
        name = f"{folder}/{self._above[-1]}/metrics.jsonl".removeprefix(f"{layout.run(self._top.id)}/")
        return Live(self._top.files, self._top.id).read(name)


def children(top: Run, above: tuple[str, ...] = (), *, recursive: bool = False) -> Iterator[ChildRun]:
    """Children of a run, or of the child that `above` leads to, in the order of their making."""
    folder = layout.children(top.id, *above)
    for number in top.files.list(folder):
        document = top.files.read_json_or_none(f"{folder}/{number}/child.json")
        if document is not None:  # otherwise a script was killed while it made one
            yield ChildRun(top, (*above, number), document)
            if recursive:
                yield from children(top, (*above, number), recursive=True)


def matches(
    one: Run | ChildRun,
    tags: str | Mapping[str, str] | None = None,
    properties: str | Mapping[str, str] | None = None,
    kind: str | None = None,
    status: str | None = None,
) -> bool:
    """Is a run what is asked for? Tags and properties: a name that it has, or names with their values.

    :raises DefinitionError: there is no such status.
    """
    wanted = None if status is None else said.status("status", status)
    return (
        kind in (None, one.type)
        and (tags is None or _has(one.tags, tags))
        and (properties is None or _has(one.properties, properties))
        and (wanted is None or one.get_status() == wanted)
    )


def _has(there: Mapping[str, str], wanted: str | Mapping[str, str]) -> bool:
    if isinstance(wanted, str):
        return wanted in there
    return all(there.get(key) == str(value) for key, value in wanted.items())


def of_all(
    one: Run | ChildRun, own: dict[str, Any], name: str | None, run_type: str | None
) -> dict[str, dict[str, Any]]:
    """Metrics by run id, of a run and of all children below it; of one type where that is named."""
    found = {one.id: own} if run_type in (None, one.type) else {}
    below = one.get_children(recursive=True, type=run_type)
    return {**found, **{child.id: child.get_metrics(name) for child in below}}
