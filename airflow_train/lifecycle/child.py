"""`ChildRun`: a run inside a run, made by its script; what lies below `children/` of the run (`azureml_run/run.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_train.runs import metrics
from airflow_train.store import artifacts, layout

if TYPE_CHECKING:
    from airflow_train.lifecycle.run import Run


class ChildRun:
    """One child run; its metrics, tags and files are its own, everything else is its parent's."""

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
    def tags(self) -> dict[str, str]:
        """Tags as they stand now."""
        return metrics.fold_tags(self._document["tags"], [self._lines()])

    def get_metrics(self, name: str | None = None) -> dict[str, Any]:
        """What the script logged for this child, shaped as by `Run.get_metrics`."""
        return metrics.fold([self._lines()], name)

    def get_status(self) -> str:
        """As the script ended it, else the status of the run around it."""
        return metrics.ended_as(self._lines()) or self._top.get_status()

    def get_file_names(self) -> list[str]:
        """Names of the files that the script uploaded for this child; the run has them below `children/…`."""
        prefix = "/".join(f"children/{number}" for number in self._above)
        found = artifacts.names(self._top.files, self._top.id, prefix)
        names = [name[len(prefix) + 1 :] for name, _ in found]
        return [name for name in names if not name.startswith("children/")]

    def get_children(self) -> list[ChildRun]:
        """Children of this child."""
        return list(children(self._top, self._above))

    def _lines(self) -> bytes:
        folder = layout.children(self._top.id, *self._above[:-1])
        return self._top.files.read_or_none(f"{folder}/{self._above[-1]}/metrics.jsonl") or b""


def children(top: Run, above: tuple[str, ...] = (), *, recursive: bool = False) -> Iterator[ChildRun]:
    """Children of a run, or of the child that `above` leads to, in the order of their making."""
    folder = layout.children(top.id, *above)
    for number in top.files.list(folder):
        document = top.files.read_json_or_none(f"{folder}/{number}/child.json")
        if document is not None:  # otherwise a script was killed while it made one
            yield ChildRun(top, (*above, number), document)
            if recursive:
                yield from children(top, (*above, number), recursive=True)
