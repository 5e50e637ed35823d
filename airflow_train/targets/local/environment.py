"""The environment of a local run: which one it is, and the program that builds it for a supervisor.

    python -m airflow_train.targets.local.environment /path/to/launch.json

leaves `built.json` beside the launch file (`runtime/protocol.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_train import config
from airflow_train.environments import conda, interpreters
from airflow_train.environments.log import BuildLog, redacted
from airflow_train.environments.recipe import Recipe, recipe_of
from airflow_train.environments.virtualenv import Virtualenv
from airflow_train.exceptions import BuildFailed, ConfigurationError, TrainError, UnsupportedByTarget
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.targets import launch, mpi
from airflow_train.targets.local import notebook

#: keys of a job's environment that a virtual environment can honour
HONOURED = ("name", "pip_packages", "conda_packages", "conda_channels")


def folder() -> Path:
    """Where environments are.

    :raises ConfigurationError: the option names no folder.
    """
    named = config.get("environments")
    if "://" in named:
        raise ConfigurationError(
            f"[train] environments is {redacted(named)} but must be a folder of this machine; correct it, or leave it "
            "out."
        )
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(named or os.path.join(cache, "airflow-train", "environments")).expanduser().absolute()


def wanted(job: Mapping[str, Any], there: str) -> Virtualenv | None:
    """The environment of a job; None where the interpreter that is there is used as it is."""
    if job["user_managed"] or job["interpreter_path"]:
        return None
    asked = {key: value for key, value in job["environment"].items() if key in HONOURED}
    recipe = recipe_of({**job, "environment": asked})
    found = shutil.which(there)
    return (
        None if recipe is None else Virtualenv(folder(), recipe, os.path.abspath(found) if found else there)
    )


def part(one: Virtualenv, store: RunStore, places: launch.Places) -> dict[str, Any]:
    """`build` of a launch file."""
    return {
        "interpreter": one.interpreter,
        "lock": str(one.lock),
        "ready": one.find() is not None,
        "reason": f"{one.words()} isn't here yet",
        # -P: nothing that lies in the folder where it happens to start is imported
        "command": [sys.executable, "-P", "-m", __name__, places.file()],
        "place": str(one.folder),
        "recipe": one.recipe.to_json(),
        "there": one.there,
        "store": store.uri,
    }


def missing(job: Mapping[str, Any], interpreter: str) -> list[str]:
    """What an interpreter lacks for a job, one sentence each."""
    problems = []
    if wants_mpi(job) and mpi.find(interpreter) is None:
        problems.append(mpi.missing(interpreter))
    if launch.is_notebook(job):
        problems += notebook.check(job, interpreter)
    return problems


def wants_mpi(job: Mapping[str, Any]) -> bool:
    """Does `mpirun` start the ranks?"""
    return bool((job["distribution"] or {}).get("type") == "mpi")


def doctor() -> list[tuple[str, bool, str]]:
    """What installs packages here?"""
    found = []
    for what, find in (("uv", interpreters.uv), ("conda", conda.find)):
        try:
            found.append((what, True, find()))
        except UnsupportedByTarget as error:
            found.append((what, what == "conda", str(error)))  # few need conda
    return [*found, ("environments", True, str(folder()))]


def main(launch_file: str) -> int:
    """Build the environment of a launch file; the supervisor that started this reads what became of it."""
    read = json.loads(Path(launch_file).read_text(encoding="utf-8"))
    store, run_id = open_store(read["build"]["store"]), read["run_id"]
    result: dict[str, Any] = {"error": None, "reason": None, "mpirun": None}
    try:
        result["mpirun"] = _built(read, store)
    except (BuildFailed, UnsupportedByTarget) as error:
        result |= {"error": _half(error), "reason": "build_failed"}
    except TrainError as error:
        result |= {"error": _half(error), "reason": "infrastructure"}
    name = f"{layout.node(run_id, 0)}/{protocol.BUILT_FILE}"
    store.files.create_json(name, {"at": protocol.timestamp(), **result})
    return 0 if result["error"] is None else 1


def _built(read: Mapping[str, Any], store: RunStore) -> dict[str, object] | None:
    build, run_id = read["build"], read["run_id"]
    one = Virtualenv(Path(build["place"]), Recipe.from_json(build["recipe"]), build["there"])

    def say(words: str) -> None:
        store.add_event(run_id, "build", words, "builder")

    with BuildLog(store.files, run_id) as log:
        one.build(log, say, run_id)
        job = store.spec(run_id).job
        if problems := missing(job, one.interpreter):
            raise BuildFailed(f"the environment lacks something: {problems[0]}")
    found = mpi.find(one.interpreter) if wants_mpi(job) else None
    return None if found is None else mpi.planned(found, len(read["ranks"]))


def _half(error: Exception) -> str:
    return str(error).rstrip(".")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
