"""The local target: a supervisor and its ranks as processes of this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from airflow_train.environments import shelf
from airflow_train.environments.recipe import Needed
from airflow_train.environments.virtualenv import Virtualenv
from airflow_train.exceptions import ConfigurationError
from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from airflow_train.targets import bundle, launch, mpi
from airflow_train.targets.base import Kept, Leftover, Observation
from airflow_train.targets.local import engine, environment, plan
from airflow_train.targets.local import observe as local_observe

_OPTIONS = ("interpreter_path",)

#: part of a job → what people call it; each is refused as long as the local target can't honour it
_NOT_HERE = {
    "inputs": "inputs",
    "gpu": "gpu",
    "cpu": "cpu",
    "shm_size": "shm_size",
}


#: key of a job's environment → what authors wrote to ask for it, where that is called otherwise
_ASKED = {
    "image": "custom_docker_image",
    "dockerfile": "docker.base_dockerfile",
    "context": "docker.build_context",
    "registry": "image_registry_details",
    "use_docker": "use_docker: true",
    "docker_arguments": "arguments of docker",
    "platform": "docker.platform",
    "shared_volumes": "shared_volumes: false",
}

#: what a build context says of its Dockerfile
_OF_CONTEXT = ("dockerfile", "dockerfile_path")

#: the same where a whole `Environment`, which has a name, asked for it
_ASKED_BY_NAME = {
    **_ASKED,
    "apt_packages": "docker.apt_packages",
    "image": "docker.base_image",
    "registry": "docker.base_image_registry",
}


class LocalTarget:
    """Local processes. Options: `interpreter_path`, the Python of scripts whose definition names none."""

    type: ClassVar[str] = "local"
    can_defer: ClassVar[bool] = False

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise ConfigurationError(
                f"compute target {name!r} has the option {unknown[0]!r}, which targets of type local don't know; "
                f"they know {', '.join(_OPTIONS)}."
            )
        self.name, self.options = name, options

    def check(self, job: Mapping[str, Any], store: RunStore) -> list[str]:
        """Everything that local processes can't honour, one sentence each."""
        problems = [
            f"{words} can't be honoured on the local target; leave it out or use another compute_target."
            for words in (
                *_asked(job["environment"]),
                *(words for part, words in _NOT_HERE.items() if job[part]),
            )
        ]
        if store.files.local_root is None:
            problems.append(
                f"the run store {store.uri} is not a folder of this machine, where the local target writes; "
                "set [train] store to a path."
            )
        interpreter, built = self._interpreter(job), self._environment(job)
        needed = job["command"] is None or job["interpreter_path"] or built is not None
        if needed and shutil.which(interpreter) is None:
            problems.append(
                f"interpreter_path {interpreter!r} is no program on this machine; correct it or leave it out."
            )
        elif built is None:
            problems += environment.missing(job, interpreter)
        else:
            problems += (
                built.problems() if built.find() is None else environment.missing(job, built.interpreter)
            )
        return problems

    def needs(self, job: Mapping[str, Any]) -> Needed | None:
        """The virtual environment that has to be there."""
        built = self._environment(job)
        return None if built is None else Needed(built.key, built.recipe)

    def _environment(self, job: Mapping[str, Any]) -> Virtualenv | None:
        return environment.wanted(job, self._interpreter(job))

    def _interpreter(self, job: Mapping[str, Any]) -> str:
        named = job["interpreter_path"] or self.options.get("interpreter_path") or sys.executable
        return os.path.expanduser(str(named))

    def plan(self, spec: RunSpec, store: RunStore) -> plan.LocalPlan:
        """Supervisor and launch file of the run."""
        archive, script = bundle.names()
        built = self._environment(spec.job)
        found = shutil.which(self._interpreter(spec.job))
        interpreter = os.path.abspath(found) if found else self._interpreter(spec.job)
        if built is not None:
            interpreter = built.interpreter
        places = launch.Places(
            run_folder=self._path(store, layout.run(spec.run_id)),
            snapshot={
                "manifest": self._path(store, layout.snapshot(spec.snapshot["id"])),
                "blobs": self._path(store, layout.BLOBS),
            },
            runtime=self._path(store, archive),
            script=self._path(store, script),
            python=sys.executable,
            interpreter=interpreter,
            models=self._path(store, layout.models()),
            mpirun=mpi.find(interpreter) if environment.wants_mpi(spec.job) else None,
        )
        if built is not None:
            places = replace(places, build=environment.part(built, store, places))
        return plan.build(spec, places)

    @staticmethod
    def _path(store: RunStore, name: str) -> str:
        assert store.files.local_root is not None  # `check` has refused every other store
        return str(store.files.local_root / name)

    def submit(self, spec: RunSpec, store: RunStore, secrets: Mapping[str, str] | None = None) -> None:
        """Write the launch file and start a supervisor; one that finds the run claimed leaves at once."""
        bundle.install(store)
        made = self.plan(spec, store)
        store.files.create_json(layout.launch(spec.run_id), dict(made.launch))
        limit = spec.limits.get("start")
        engine.start(made.supervisor, self._node_log(spec.run_id, store), limit, secrets)

    def _node_log(self, run_id: str, store: RunStore) -> Path:
        return Path(self._path(store, layout.run(run_id))) / protocol.node_log(0)

    def observe(self, record: RunRecord, store: RunStore) -> Observation:
        """What lives of the run on this machine."""
        return local_observe.observe(record)

    def glance(self, run_id: str, store: RunStore) -> bool:
        """Has the supervisor left its report?"""
        return store.files.exists(layout.report(run_id))

    def collect(self, record: RunRecord, store: RunStore, secrets: Mapping[str, str] | None = None) -> None:
        """End what is left, then collect in place of the dead supervisor."""
        if not store.files.exists(layout.launch(record.run_id)):
            return  # cancelled before it was launched
        engine.end_leftovers(record.run_id)
        bundle.install(store)
        archive, _ = bundle.names()
        file = self._path(store, layout.launch(record.run_id))
        argv = [sys.executable, "-I", "-S", "-B", self._path(store, archive), "collect", file]
        limit = record.spec.limits.get("collect")
        engine.collect(argv, self._node_log(record.run_id, store), limit, secrets)

    def end(self, record: RunRecord, store: RunStore) -> None:
        """Kill the supervisor; its ranks end by themselves, those that don't are killed."""
        del store
        supervisor = record.claim or {}
        engine.kill(supervisor)
        processes = [dict(one[part]) for one in record.starts.values() for part in ("script", "wrapper")]
        engine.wait_for_end([supervisor, *processes])
        for one in processes:
            engine.kill(one)
        engine.end_leftovers(record.run_id)

    def sweep(self, record: RunRecord, store: RunStore) -> None:
        """Remove half-written files that killed processes left, and a working directory that holds nothing new."""
        if record.report is not None and record.report["error"] is None:
            shutil.rmtree(self._path(store, layout.work(record.run_id)), ignore_errors=True)
        store.files.remove_half_written(layout.run(record.run_id))

    def leftovers(self, store: RunStore) -> list[Leftover]:
        """None: a supervisor whose run is gone ends by itself."""
        del store
        return []

    def remove(self, leftover: Leftover) -> None:
        """There is nothing to remove."""
        del leftover

    def kept(self, store: RunStore) -> list[Kept]:
        """Virtual environments of this machine, and what killed builders left of some."""
        del store
        return [
            Kept(
                key=one.key if one.whole else "",
                what=f"{'environment' if one.whole else 'rest of the environment'} {one.path}",
                bytes=one.bytes,
                idle=one.idle,
                in_use=one.in_use,
            )
            for one in shelf.shelved(environment.folder())
        ]

    def forget(self, kept: Kept) -> bool:
        """Remove a virtual environment, unless a run holds it."""
        return shelf.forget(environment.folder(), os.path.basename(kept.what))

    def doctor(self, store: RunStore) -> list[tuple[str, bool, str]]:
        """Is there an interpreter, can process trees be seen; what becomes of memory limits and MPI?"""
        interpreter = self._interpreter({"interpreter_path": None})
        python = shutil.which(interpreter) or ""
        sees = os.path.isdir("/proc/self")
        return [
            ("interpreter", bool(python), python or "not found; set interpreter_path of the target"),
            (
                "process trees",
                sees,
                "/proc" if sees else "no /proc here: only a script's process group can be ended",
            ),
            ("memory limits", True, engine.memory_limits()),
            ("mpirun", True, mpi.in_words(interpreter)),
            *environment.doctor(),
        ]


def _asked(asked: Mapping[str, Any]) -> list[str]:
    words = _ASKED_BY_NAME if "name" in asked else _ASKED
    passed_over = {*environment.HONOURED, *(_OF_CONTEXT if "context" in asked else ())}
    return [words.get(key, key) for key in asked if key not in passed_over]
