"""What is new about a run since the last look, in words for a terminal or a task log."""

from __future__ import annotations

from airflow_train.lifecycle.observe import View
from airflow_train.runs.phases import Phase


class Narrator:
    """Remembers what it has told.

    :param joins: somebody else has told of the run so far: phases that are over at the first look aren't told again.
    """

    def __init__(self, joins: bool = False) -> None:
        self._told: dict[tuple[str, str], str] = {}
        self._status, self._joins = "", joins

    def news(self, view: View) -> list[str]:
        """Half a sentence for every phase that has begun or says more, then for a status that no phase explains."""
        said = {event["at"] for event in view.record.events}
        if self._joins:
            self._told = {_key(phase): phase.reason for phase in view.record.phases if phase.until}
            self._joins = False
        found = [
            f"{phase.status}, {phase.words()}"
            for phase in view.record.phases
            if phase.since in said and self._is_new(phase)
        ]
        explained = any(view.status == phase.status for phase in view.record.phases)
        if not view.terminal and view.status != self._status and not explained:
            found.append(view.status + (f": {view.record.reason}" if view.record.reason else ""))
        self._status = view.status
        return found

    def _is_new(self, phase: Phase) -> bool:
        key = _key(phase)
        if self._told.get(key) == phase.reason:
            return False
        self._told[key] = phase.reason
        return True


def _key(phase: Phase) -> tuple[str, str]:
    return phase.name, phase.since
