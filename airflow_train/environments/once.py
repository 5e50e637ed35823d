"""One builder among all that want the same thing built, on however many machines; the others wait for what it makes.

A folder of numbered claims, in any `Files` that all of them see, says who builds. A claim is taken over when its
process is gone: one of this machine is looked at, another's has to write a beat. So a builder that was killed is
replaced by one of those who wait. Who has waited for a builder shares its failure; who asks later builds anew.

    0001.json         who builds: identity (`runtime/protocol.py`), "at", "run_id"
    0001.beat         {"at"}, rewritten every `HEARTBEAT_SECONDS`
    0001.ended.json   {"at", "error", "reason"}: it is over; `error` is the sentence of a failure that others share

A builder that is wrongly given up, after a pause of its machine, goes on beside the next one: what is built must be put
in place at once, and a second time without harm.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from airflow_train.exceptions import BuildFailed, InfrastructureFailure, RunNotCompleted, StoreError
from airflow_train.runtime import protocol
from airflow_train.store.files import Files

Built = TypeVar("Built")
#: Seconds between two looks at somebody else's build.
LOOK = 0.2
#: `reason` of an ended claim → what those who have waited for it raise.
_SHARED: Mapping[str, type[RunNotCompleted]] = {
    "build_failed": BuildFailed,
    "infrastructure": InfrastructureFailure,
}


def once(
    files: Files,
    folder: str,
    *,
    find: Callable[[], Built | None],
    build: Callable[[], Built],
    say: Callable[[str], object],
    check: Callable[[], object] = lambda: None,
    run_id: str = "",
) -> Built:
    """What `find` finds, which `build` makes where it isn't there yet, called by one of all who ask for it at once.

    :param folder: of the claims, below `files`; for this content alone.
    :param find: cheap; called at every look.
    :param build: may raise BuildFailed or InfrastructureFailure, which those who wait get, too. After any other
        exception the next of them builds.
    :param say: told what is waited for, as the reason of the phase `build`.
    :param check: called while waiting; may raise to stop that. `build` has to look for itself.
    :param run_id: for whom; others are told.
    :raises BuildFailed, InfrastructureFailure: it can't be built.
    """
    waits = _Wait(files, folder)
    while (found := find()) is None:
        check()
        number = waits.newest()
        if number and not waits.over(number):
            if waits.is_new(number):
                say(waits.words(number))
            time.sleep(LOOK)
        elif files.create_json(f"{folder}/{number + 1:04d}.json", _claim(run_id)):
            with _building(files, f"{folder}/{number + 1:04d}"):
                found = find()  # the one before may have ended since
                return build() if found is None else found
    return found


def _claim(run_id: str) -> dict[str, Any]:
    return {**protocol.identity(), "at": protocol.timestamp(), "run_id": run_id}


class _Wait:
    """What one that waits remembers of the builders it has seen."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files, self._folder = files, folder
        self._claims: dict[int, dict[str, Any]] = {}
        self._beat: tuple[Any, float] = (None, 0.0)

    def newest(self) -> int:
        """Number of the newest claim; 0 without one."""
        return max(self._files.numbers(self._folder), default=0)

    def is_new(self, number: int) -> bool:
        """Is this the first look at that builder?"""
        if number in self._claims:
            return False
        self._claims[number] = self._read(number)
        return True

    def words(self, number: int) -> str:
        """Who builds, for people."""
        claim = self._claims[number]
        run_id = f" for run {claim['run_id']}" if claim.get("run_id") else ""
        return f"waiting for process {claim['pid']} on {claim['host']}, which builds it{run_id} since {claim['at']}"

    def over(self, number: int) -> bool:
        """Is that builder done, or gone?

        :raises BuildFailed, InfrastructureFailure: it failed while this one waited for it.
        """
        ended = self._files.read_json_or_none(f"{self._folder}/{number:04d}.ended.json")
        if ended is None:
            return self._gone(number)
        kind = _SHARED.get(str(ended["reason"]))
        if kind is not None and number in self._claims:
            raise kind(str(ended["error"]))
        return True

    def _gone(self, number: int) -> bool:
        claim = self._claims.get(number) or self._read(number)
        living = protocol.alive(claim)
        if living is not None:
            return not living
        beat = self._files.read_json_or_none(f"{self._folder}/{number:04d}.beat") or claim
        now = time.monotonic()
        if self._beat[0] != (number, beat["at"]):
            self._beat = ((number, beat["at"]), now)
        return now - self._beat[1] > protocol.LEASE_SECONDS

    def _read(self, number: int) -> dict[str, Any]:
        claim: dict[str, Any] = self._files.read_json(f"{self._folder}/{number:04d}.json")
        return claim


@contextlib.contextmanager
def _building(files: Files, claim: str) -> Iterator[None]:
    """Keep a claim alive inside, and say at the end how it went."""
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(files, f"{claim}.beat", done), daemon=True)
    beating.start()
    ended: dict[str, Any] = {"error": None, "reason": None}
    try:
        yield
    except (BuildFailed, InfrastructureFailure) as error:
        reason = "build_failed" if isinstance(error, BuildFailed) else "infrastructure"
        ended = {"error": str(error), "reason": reason}
        raise
    finally:
        done.set()
        beating.join()
        files.create_json(f"{claim}.ended.json", {"at": protocol.timestamp(), **ended})


def _beat(files: Files, name: str, done: threading.Event) -> None:
    while not done.wait(protocol.HEARTBEAT_SECONDS):
        with contextlib.suppress(StoreError):  # the next one may reach the store
            files.write_json(name, {"at": protocol.timestamp()})
