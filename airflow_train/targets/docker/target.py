"""The docker target: a container and a volume per node, on any engine that can be reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ClassVar

from airflow_train.environments.recipe import Needed
from airflow_train.exceptions import ConfigurationError, InfrastructureFailure
from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from airflow_train.targets.base import Kept, Leftover, Observation
from airflow_train.targets.docker import (
    attend,
    build,
    check,
    collect,
    compiled,
    doctor,
    image,
    keeping,
    leftovers,
    login,
    nodes,
    observe,
    place,
    plan,
)
from airflow_train.targets.docker.ends import end_facts, in_words
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import (
    EngineUnreachable,
    Gone,
    NoSuchFolder,
    NotAllowed,
    Refusal,
    TooOld,
    why_not_started,
)
from airflow_train.targets.docker.observe import Watch
from airflow_train.targets.docker.options import problems_of as wrong_options
from airflow_train.targets.docker.plan import DockerPlan

#: Seconds of silence of an engine after which its runs are given up: a restart of the engine takes a minute or two.
ENGINE_PATIENCE = 600.0
#: Seconds that a second submitter leaves to the first one, whose container it found.
_POLITE = 2.0


class DockerTarget:
    """Containers; what each option means is in this folder's docstring."""

    type: ClassVar[str] = "docker"
    can_defer: ClassVar[bool] = True

    #: What this process remembers of runs: (engine, run) → …
    _attendants: ClassVar[dict[tuple[str, str], attend.Attendant]] = {}
    #: … run → how many containers it has
    _ran: ClassVar[dict[str, int]] = {}

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        if problems := wrong_options(name, options):
            raise ConfigurationError(" ".join(problems))
        self.name, self.options = name, options
        self._engine = Engine(options)
        self._shelf = keeping.Shelf(self._engine)

    # ------------------------------------------------------------------ before anything runs

    def check(self, job: Mapping[str, Any], store: RunStore) -> list[str]:
        """Everything that containers can't honour, one sentence each.

        :raises ConfigurationError: nothing can lead to the engine.
        """
        if not self.options.get("connection"):
            place.find(self.options)  # whether files and contexts are there
        return check.problems_of(job, self.name, self.options, store)

    def needs(self, job: Mapping[str, Any]) -> Needed | None:
        """The image that has to be there."""
        recipe = build.recipe_for(job, self.options)
        return None if recipe is None else Needed(recipe.key, recipe)

    def plan(self, spec: RunSpec, store: RunStore, python: str = "python3") -> DockerPlan:
        """Container, volume and launch file of every node."""
        recipe = build.recipe_for(spec.job, self.options)
        wanted, shared = check.wanted(spec.job, self.options), check.shared(self.options, spec.run_id, store)
        return plan.build(spec, self.options, wanted, store.identity(), python, recipe, shared)

    # ------------------------------------------------------------------ start

    def submit(self, spec: RunSpec, store: RunStore, secrets: Mapping[str, str] | None = None) -> None:
        """Create, fill and start the containers; whoever takes the claim starts them.

        What the engine refuses is the run's end, with the engine's reason; whoever looks next judges.

        :raises EngineUnreachable: it doesn't answer.
        """
        try:
            self._submit(spec, store, secrets or {})
        except (NotAllowed, NoSuchFolder, TooOld) as error:
            self._refuse(spec, store, str(error), "could_not_start")
        except EngineUnreachable:
            raise
        except build.NotWanted:
            return
        except Refusal as refusal:
            self._refuse(spec, store, str(refusal), refusal.reason)
        except InfrastructureFailure as error:
            self._refuse(spec, store, str(error), "infrastructure")

    def _submit(self, spec: RunSpec, store: RunStore, secrets: Mapping[str, str]) -> None:
        made, run_id = self.plan(spec, store), spec.run_id
        if store.files.exists(layout.claim(run_id)):
            return  # whoever has it starts the container, or whoever looks next

        def say(reason: str) -> None:
            store.add_event(run_id, "pull", reason, "target")

        variables, logins = login.of_run(spec.job, secrets)
        kept = self._engine.place.login
        logins = (*logins, kept) if kept else logins

        def fetch(name: str, platform: str | None) -> Mapping[str, Any]:
            return image.fetched(self._engine, name, platform, logins, say)

        recipe = build.recipe_for(spec.job, self.options)

        def have_image() -> Mapping[str, Any]:
            if recipe is None:
                return fetch(made.image, made.platform)
            return build.ready(recipe, spec, store, self._engine, fetch)

        claim = self._fill(spec, made, store, variables, have_image)
        if claim is not None and store.take_claim(run_id, claim):
            self._start(spec, claim, store)
        else:
            self._leave(spec, store)

    def _fill(
        self,
        spec: RunSpec,
        made: DockerPlan,
        store: RunStore,
        variables: Mapping[str, str],
        have_image: Callable[[], Mapping[str, Any]],
    ) -> dict[str, Any] | None:
        """Create and fill everything; returns what this submitter claims the run by, None when another one has."""
        run_id, found = spec.run_id, have_image()
        with ThreadPoolExecutor(3) as meanwhile:  # an engine takes its time for each of these
            identity = meanwhile.submit(self._engine.identity)
            asked = meanwhile.submit(self._runtime, made, found, store, identity)
            try:
                created = self._engine.create(made)
            except Gone:  # somebody has removed the image meanwhile
                found = have_image()
                created = self._engine.create(made)
            if not created and self._claimed_soon(run_id, store):
                return None
            network = meanwhile.submit(nodes.network, self._engine, made)
            python = image.python(self._engine, made, found)
            if python != made.python:
                made = self.plan(spec, store, python)
                nodes.each(lambda one: image.make_again(self._engine, one), made.nodes)
                created = False  # another submitter may have done so, too
            owner = image.owner(self._engine, made, found)
            runtime = asked.result()
            if store.files.exists(layout.claim(run_id)):
                return None  # this one was slow
            keys = nodes.fill(
                self._engine, spec, made, store, owner, variables, created=created, runtime=runtime
            )
            network.result()
            return {
                "container": made.container,
                **({"keys": keys} if keys else {}),
                "engine": identity.result(),
                "host": self._engine.where,
                "at": protocol.timestamp(),
            }

    def _runtime(
        self, made: DockerPlan, image: Mapping[str, Any], store: RunStore, identity: Future[str]
    ) -> bytes:
        """The zipapp for the image; a container on its own compiles it faster than another one is made for that."""
        if not made.others:
            return b""
        return compiled.runtime(self._engine, identity.result(), made, str(image["Id"]), store)

    @staticmethod
    def _over(run_id: str, store: RunStore) -> bool:
        """Was the run cancelled or given up before it was started, or has it ended meanwhile?"""
        claim = store.files.read_json(layout.claim(run_id))
        return "container" not in claim or store.files.exists(layout.verdict(run_id))

    @staticmethod
    def _claimed_soon(run_id: str, store: RunStore) -> bool:
        """Does the submitter whose container this is take the claim? Otherwise it died, or is slow."""
        deadline = time.monotonic() + _POLITE
        while time.monotonic() < deadline:
            if store.files.exists(layout.claim(run_id)):
                return True
            time.sleep(0.02)
        return False

    def _start(self, spec: RunSpec, claim: Mapping[str, Any], store: RunStore) -> None:
        """Start the containers of a run that is claimed; one that can't be started ends it."""
        try:
            nodes.start(self._engine, spec, claim)
        except EngineUnreachable:
            raise
        except InfrastructureFailure as error:
            collect.report_failure(spec.run_id, store, str(error), why_not_started(error))

    def _refuse(self, spec: RunSpec, store: RunStore, error: str, reason: str) -> None:
        """End a run that nobody has claimed."""
        if store.take_claim(spec.run_id, {**protocol.identity(), "at": protocol.timestamp()}):
            collect.report_failure(spec.run_id, store, error, reason)
        else:
            self._leave(spec, store)

    def _leave(self, spec: RunSpec, store: RunStore) -> None:
        """Leave a run to whoever has claimed it; what was made after that one has swept it is removed."""
        if self._over(spec.run_id, store):
            with suppress(
                InfrastructureFailure
            ):  # it is the other one's run; `airflow-train cleanup` finds the rest
                collect.sweep(spec, self._engine, store)

    # ------------------------------------------------------------------ while it runs

    def observe(self, record: RunRecord, store: RunStore) -> Observation:
        """What the engine's events say of the container; what it has written comes home on the way."""
        if record.claim is None:
            return Observation(supervisor=None, ranks=None)
        if "container" not in record.claim:
            living = protocol.alive(dict(record.claim))
            return Observation(supervisor=living, ranks=living, note="" if living else "it was never started")
        try:
            return self._look(record, store)
        except InfrastructureFailure as error:  # an engine that shuts down refuses what it did a moment ago
            note = "" if type(error) is EngineUnreachable else str(error).rstrip(".")
            return Observation(supervisor=None, ranks=None, note=note, patience=ENGINE_PATIENCE)

    def _look(self, record: RunRecord, store: RunStore) -> Observation:
        run_id, name = record.run_id, plan.container_name(record.run_id)
        state, found = observe.state(self._engine, run_id)
        if state == "created":  # whoever claimed it died before starting it
            if record.cancel is not None:
                self._attendant(record).before_start(record)
            self._start(record.spec, record.claim or {}, store)
            state = "running"
        if state in ("paused", "running") and (lost := nodes.lost(self._engine, record, state)):
            store.files.create_json(layout.stop(run_id), lost)
            self._engine.kill(name)
            return Observation(supervisor=True, ranks=True)
        if state == "paused":
            if record.cancel is None:
                return Observation(supervisor=True, ranks=True, note="its container is paused", paused=True)
            self._engine.unpause(name)
            state = "running"
        if state == "running":
            self._ran[run_id] = nodes.count(record.spec)
            if nodes.unstarted(self._engine, record.spec):
                self._start(record.spec, record.claim or {}, store)
            self._attendant(record).look(record, store)
            return Observation(supervisor=True, ranks=True)
        if found is None:
            return self._missing(record)
        return Observation(
            supervisor=False,
            ranks=False,
            note=f"{nodes.whose(record.spec)} container ended with {in_words(end_facts(found))}",
            node=nodes.decides(record.spec),
        )

    def _attendant(self, record: RunRecord) -> attend.Attendant:
        key, shared = (self._engine.key, record.run_id), bool(self.options.get("shared_store"))
        if key not in self._attendants:
            made = attend.Attendant(self._engine, record.run_id, shared, nodes.count(record.spec))
            self._attendants.setdefault(key, made)
        return self._attendants[key]

    def _missing(self, record: RunRecord) -> Observation:
        """The engine has no such container; another one, with the same address on another machine, may have it."""
        claim = record.claim or {}
        if claim.get("engine") in (None, self._engine.identity()):
            note, node = (
                f"{nodes.whose(record.spec)} container was removed from outside",
                nodes.decides(record.spec),
            )
            return Observation(supervisor=False, ranks=False, note=note, node=node)
        note = (
            f"it was started on another Docker engine than the one at {self._engine.where} that whoever looked "
            "could reach, and hasn't been heard of"
        )
        return Observation(supervisor=None, ranks=None, note=note, patience=ENGINE_PATIENCE)

    def glance(self, run_id: str, store: RunStore) -> bool:
        """Have the engine's events told of the container's end, or somebody else of the run's?"""
        if store.files.local_root is not None and store.files.exists(layout.report(run_id)):
            return True
        if run_id not in self._ran:
            return False
        watch = observe.watch(self._engine)
        state = watch.state(plan.container_name(run_id))
        return state in ("exited", "gone") or (state == "paused" and self._given_up(watch, run_id))

    def _given_up(self, watch: Watch, run_id: str) -> bool:
        """Has another node ended while node 0 stands still? That is worth one look, which finds out why."""
        names = nodes.containers(run_id, self._ran[run_id])
        noticed = any(watch.state(name) in ("exited", "gone") for name in names)
        if noticed:
            self._ran[run_id] = 1
        return noticed

    # ------------------------------------------------------------------ the end

    def end(self, record: RunRecord, store: RunStore) -> None:
        """Kill the containers."""
        del store
        nodes.end(self._engine, nodes.containers(record.run_id, nodes.count(record.spec)), 60)

    def collect(self, record: RunRecord, store: RunStore, secrets: Mapping[str, str] | None = None) -> None:
        """Bring home what the ended containers left."""
        if "container" in (record.claim or {}):
            variables = None if secrets is None else login.of_run(record.spec.job, secrets)[0]
            collect.collect(record, self.plan(record.spec, store), self._engine, store, variables)

    def sweep(self, record: RunRecord, store: RunStore) -> None:
        """Remove containers, volumes and network; `airflow-train cleanup` finds what nobody comes back for."""
        run_id = record.run_id
        self._ran.pop(run_id, None)
        self._attendants.pop((self._engine.key, run_id), None)
        collect.sweep(record.spec, self._engine, store)

    def leftovers(self, store: RunStore) -> list[Leftover]:
        """Containers, volumes and networks of this store's runs that have ended, or are gone."""
        return leftovers.find(self._engine, store)

    def remove(self, leftover: Leftover) -> None:
        """Remove a container, running or not, a volume or a network."""
        leftovers.remove(self._engine, leftover)

    def kept(self, store: RunStore) -> list[Kept]:
        """Images that were built on the engine, and what killed builds left there."""
        del store
        return self._shelf.find()

    def forget(self, kept: Kept) -> bool:
        """Remove an image, unless a container is made of it or a run has just asked for it."""
        return self._shelf.remove(kept)

    def doctor(self, store: RunStore) -> list[tuple[str, bool, str]]:
        """Does the engine answer, what can it, is the image there, and is the login good?"""
        del store
        return doctor.look(self._engine, self.options)
