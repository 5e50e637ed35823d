"""The contract of a compute target, as rules that one suite of tests puts to every target.

1. `check` names everything in a job that the target can't honour; nothing is ignored. It touches files at most.
2. `plan` is pure: the same spec gives the same plan, and the plan is all that `submit` acts on.
3. Objects of the backend are named after the run. Submitting twice starts once.
4. What starts the ranks takes `node_0/claim.json` first; who doesn't get it starts nothing.
5. `observe` tells what lives. What can't be seen is None, never False: unseen is not dead.
6. The verdict isn't the target's business; exit records are.
7. `collect` can be called again after a kill, by anybody, when nothing of the run lives any more.
8. `end` kills what lives of a run at once, when its supervisor doesn't do its work any more. Can be called again.
9. After `sweep` nothing of the run is left on the backend but what the store holds.
10. `outputs/` and logs come back after success, failure and cancel alike.
11. What a run waits for before its supervisor can speak is said by the target, in events of the phases `queue`,
    `schedule`, `pull` and `build` (`runtime/protocol.py`).
12. Values of secrets reach the ranks alone: no file, argument, object or environment of anything else holds them.
13. `kept` shows what a target has built for runs, `forget` removes it when no run uses it: not even one that has just
    found it is left without.
14. What a backend that doesn't answer keeps from being done is `BackendAway`: whoever looks next does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from airflow_train.environments.recipe import Needed
from airflow_train.exceptions import InfrastructureFailure
from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec
from airflow_train.store.run_store import RunStore

#: Names, among a run's secrets, of the login at the registry of its image; no variable is called so.
REGISTRY_USERNAME, REGISTRY_PASSWORD = "registry.username", "registry.password"


class BackendAway(InfrastructureFailure):
    """The backend doesn't answer: what it holds is unknown, and what was to be done can be done later."""


@dataclass(frozen=True)
class Observation:
    """What lives of a run, seen from this process. None means that it isn't ours to see."""

    supervisor: bool | None
    ranks: bool | None
    #: Half a sentence on what became of the supervisor when it doesn't live.
    note: str = ""
    #: Which of several nodes it was that lived and doesn't any more.
    node: int | None = None
    #: It lives but can't do anything.
    paused: bool = False
    #: Seconds of silence after which what can't be seen is given up; None means the lease.
    patience: float | None = None


@dataclass(frozen=True)
class Leftover:
    """Something on a backend that belongs to no run that goes on."""

    run_id: str
    #: Kind and name, as people of that backend say it.
    what: str
    #: Half a sentence.
    why: str
    #: Seconds since it was made.
    age: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Kept:
    """An environment that was built, and is built again when a run asks for it; or what a killed build left of one."""

    #: Of its recipe; empty where nobody knows it any more.
    key: str
    #: Kind and name, as people of that backend say it: `environment /home/ann/.cache/…`, `image …`.
    what: str
    #: Size on disk; None where it isn't known.
    bytes: int | None
    #: Seconds since a run has used it.
    idle: float
    #: Does a run use it now, or somebody build it?
    in_use: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


class Plan(Protocol):
    """The exact objects that a submit creates."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for people and programs (`airflow-train dry-run`); holds no secret."""
        ...


class Target(Protocol):
    """One configured place to run; see the rules in this module's docstring."""

    type: ClassVar[str]
    #: Can another machine go on watching? Only then may a task defer.
    can_defer: ClassVar[bool]
    name: str
    options: Mapping[str, Any]

    def check(self, job: Mapping[str, Any], store: RunStore) -> list[str]:
        """One sentence for each thing the target can't honour."""
        ...

    def needs(self, job: Mapping[str, Any]) -> Needed | None:
        """What has to be built before a job can run here; None where what is there is used as it is."""
        ...

    def plan(self, spec: RunSpec, store: RunStore) -> Plan:
        """What `submit` would create."""
        ...

    def submit(self, spec: RunSpec, store: RunStore, secrets: Mapping[str, str] | None = None) -> None:
        """Create what the plan says; finding it already there is success.

        :param secrets: variable → value, for every name in the job's `secrets`; and what the login at the registry of
            its image refers to, by `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`, which is the target's alone to know.
        :raises InfrastructureFailure: the backend refused.
        """
        ...

    def observe(self, record: RunRecord, store: RunStore) -> Observation:
        """What lives of the run."""
        ...

    def glance(self, run_id: str, store: RunStore) -> bool:
        """Is a look worth while now? Costs next to nothing, so that the end of a run is seen at once; may be wrong."""
        ...

    def collect(self, record: RunRecord, store: RunStore, secrets: Mapping[str, str] | None = None) -> None:
        """Bring logs and outputs home in place of a supervisor that died.

        :param secrets: as in `submit`; None where they can't be read, so that nothing may be copied that shows them.
        :raises BackendAway: not now.
        :raises InfrastructureFailure: not at all.
        """
        ...

    def end(self, record: RunRecord, store: RunStore) -> None:
        """Kill what lives of the run, and return when that is so."""
        ...

    def sweep(self, record: RunRecord, store: RunStore) -> None:
        """Remove whatever of the run is left.

        :raises InfrastructureFailure: it can't be removed now; the verdict doesn't wait, and whoever looks next tries.
        """
        ...

    def leftovers(self, store: RunStore) -> Iterable[Leftover]:
        """What earlier runs of this store have left and nobody will sweep."""
        ...

    def remove(self, leftover: Leftover) -> None:
        """Remove something that `leftovers` named; it may be gone."""
        ...

    def kept(self, store: RunStore) -> Iterable[Kept]:
        """Environments that this target has built, on this machine or its engine, for runs of any store."""
        ...

    def forget(self, kept: Kept) -> bool:
        """Remove something that `kept` named, which may be gone; False when a run has begun to use it."""
        ...

    def doctor(self, store: RunStore) -> list[tuple[str, bool, str]]:
        """What works here: (what, does it, what to do or what was found)."""
        ...
