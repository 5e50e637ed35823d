"""The dated index: newest runs first without looking at all of them.

    index/all/any/2026-11-21/05/0000/031-<run_id>                 every run, by the time it was created
    index/all/Completed/2026-11-21/05/0000/031-<run_id>           runs that ended so
    index/all/active/20261121T050000031-<run_id>                  runs without a verdict
    index/experiments/<experiment>/any/…                          the same per experiment

Markers are empty files named day / hour / minute and second / millisecond and run id: a folder holds at most 3 600
seconds or the runs of one second, so the newest come cheap whether runs are spread over years or burst in.
A marker is a hint: it is made before the run (a submit that dies leaves one without a run, or with another time than
the run's `created`), so whoever lists compares with the run itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from urllib.parse import quote

from airflow_train.exceptions import StoreError
from airflow_train.store.files import Files
from airflow_train.store.layout import INDEX

#: Statuses that a run never leaves; they have a dated index of their own, the others share the active markers.
ENDED = ("Completed", "Failed", "Canceled")
_ANY = "any"
_ACTIVE = "active"
_CREATED = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z")


def add(files: Files, run_id: str, experiment: str, created: str) -> None:
    """Makes the markers of a new run, before the run itself is made. Harmless to repeat."""
    for scope in _scopes(experiment):
        files.create(f"{scope}/{_ACTIVE}/{_stamp(created)}-{run_id}", b"")
        files.create(_marker(scope, _ANY, run_id, created), b"")


def finish(
    files: Files, run_id: str, experiment: str, created: str, status: str, *, active: bool = False
) -> None:
    """Notes how a run ended, then takes it from the active ones. Harmless to repeat.

    :param active: leave it among them, because something is still to be done for it.
    :raises StoreError: `status` is not one that a run ends with.
    """
    if status not in ENDED:
        raise StoreError(
            f"{run_id} can't be indexed as ended with status {status!r}: allowed are {', '.join(ENDED)}."
        )
    for scope in _scopes(experiment):
        files.create(_marker(scope, status, run_id, created), b"")
    for scope in () if active else reversed(_scopes(experiment)):
        files.delete(f"{scope}/{_ACTIVE}/{_stamp(created)}-{run_id}")


def remove(files: Files, run_id: str, experiment: str, created: str) -> None:
    """Takes a deleted run, or a marker without a run, out of the index."""
    for scope in _scopes(experiment):
        for kind in (_ANY, *ENDED):
            files.delete(_marker(scope, kind, run_id, created))
        files.delete(f"{scope}/{_ACTIVE}/{_stamp(created)}-{run_id}")


def newest(
    files: Files, *, experiment: str | None = None, status: str | None = None
) -> Iterator[tuple[str, str]]:
    """(created, run id) newest first, lazily.

    With a status that runs leave again (Queued, Running …) all active runs come; the caller looks at their status.
    A run id can come twice, with different times, when a submit died halfway: the caller keeps the run's own `created`.
    """
    scope = f"{INDEX}/all" if experiment is None else _experiment(experiment)
    if status is not None and status not in ENDED:
        yield from _active(files, scope)
        return
    root = f"{scope}/{status or _ANY}"
    for day in reversed(files.list(root)):
        for hour in reversed(files.list(f"{root}/{day}")):
            for second, name in _hour(files, f"{root}/{day}/{hour}"):
                millisecond, _, run_id = name.partition("-")
                yield f"{day}T{hour}:{second[:2]}:{second[2:]}.{millisecond}Z", run_id


def active(files: Files) -> list[tuple[str, str]]:
    """(created, run id) of runs without a verdict in the index, newest first."""
    return list(_active(files, f"{INDEX}/all"))


def is_active(files: Files, run_id: str, created: str) -> bool:
    """Whether `finish` hasn't come to its end for this run."""
    return files.exists(f"{INDEX}/all/{_ACTIVE}/{_stamp(created)}-{run_id}")


def _hour(files: Files, folder: str) -> Iterator[tuple[str, str]]:
    if files.local_root is None:  # one listing of everything costs as much as one of a single folder there
        names = sorted((name for name, _, _ in files.walk(folder)), reverse=True)
        for name in names:
            second, _, marker = name.partition("/")
            yield second, marker
        return
    for second in reversed(files.list(folder)):
        for marker in reversed(files.list(f"{folder}/{second}")):
            yield second, marker


def _active(files: Files, scope: str) -> Iterator[tuple[str, str]]:
    for name in reversed(files.list(f"{scope}/{_ACTIVE}")):
        stamp, _, run_id = name.partition("-")
        day, time = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}", f"{stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}"
        yield f"{day}T{time}.{stamp[15:]}Z", run_id


def _marker(scope: str, kind: str, run_id: str, created: str) -> str:
    day, hour, minute, second, millisecond = _parts(created)
    return f"{scope}/{kind}/{day}/{hour}/{minute}{second}/{millisecond}-{run_id}"


def _stamp(created: str) -> str:
    day, hour, minute, second, millisecond = _parts(created)
    return f"{day.replace('-', '')}T{hour}{minute}{second}{millisecond}"


def _parts(created: str) -> tuple[str, ...]:
    match = _CREATED.fullmatch(created)
    if match is None:
        raise StoreError(f"{created!r} is no time of a run: write UTC as 2026-11-21T05:00:00.031Z.")
    return match.groups()


def _scopes(experiment: str) -> tuple[str, str]:
    return f"{INDEX}/all", _experiment(experiment)


def _experiment(name: str) -> str:
    folder = quote(name, safe="").replace(".", "%2E")
    if len(folder) > 200:
        folder = f"{folder[:100]}-{hashlib.sha256(name.encode()).hexdigest()}"
    return f"{INDEX}/experiments/{folder}"
