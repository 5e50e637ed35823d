"""Real runs for tests: a store, a few lines of script, and eyes for what they leave behind.

Runs are made without a definition, as `lifecycle.submit` makes them, so that these rooms are tested without the higher
ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from airflow_train import targets
from airflow_train.definitions.job import Job
from airflow_train.lifecycle import observe, wait
from airflow_train.lifecycle.follow import Follower
from airflow_train.lifecycle.observe import View
from airflow_train.runs import ids
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import cgroups, protocol
from airflow_train.store import artifacts, layout
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.targets.docker import plan as docker_plan
from airflow_train.targets.local import engine

LOCAL: Mapping[str, Any] = {"name": "local", "type": "local", "options": {}}
#: Debian with Python and nothing else; `.ci/docker` makes it.
IMAGE = "airflow-train-test/base"
DOCKER: Mapping[str, Any] = {"name": "docker", "type": "docker", "options": {"image": IMAGE}}

#: Every script can leave words outside its working directory, to be counted.
PROLOGUE = """\
import os, signal, subprocess, sys, time
def mark(word):
    with open(os.environ["MARK"], "ab", 0) as file:
        file.write(word.encode() + b"\\n")
mark("start " + os.environ["AIRFLOW_TRAIN_RANK"])
"""


class Lab:
    """Submits scripts to one store and looks at what became of them."""

    def __init__(self, store_uri: str, marks: Path, target: Mapping[str, Any] = LOCAL) -> None:
        self.store: RunStore = open_store(store_uri)
        self.store.prepare()
        self.marks_folder, self.target = marks, target
        self.run_ids: list[str] = []

    def spec(self, code: str, run_id: str | None = None, **job: Any) -> RunSpec:
        """Spec of a run of `code` as `train.py`, without a run; `job` are fields of `definitions.job.Job`."""
        run_id = run_id or ids.drawn("lab")
        self.run_ids.append(run_id)
        variables = {"MARK": str(self.mark_file(run_id)), **job.pop("environment_variables", {})}
        if self.target["type"] == "docker":  # so that scripts can leave words outside
            mount = ["-v", f"{self.marks_folder}:{self.marks_folder}"]
            environment = dict(job.get("environment") or {})
            environment["docker_arguments"] = [*mount, *environment.get("docker_arguments", [])]
            job["environment"] = environment
        defaults: dict[str, Any] = {"entry_script": "train.py", "grace_seconds": 5.0}
        whole = Job("Estimator", ".", environment_variables=variables, **{**defaults, **job})
        content = (PROLOGUE + textwrap.dedent(code)).encode()
        return RunSpec(
            run_id=run_id,
            experiment="lab",
            created=protocol.timestamp(),
            definition={},
            job=asdict(whole),
            target=self.target,
            snapshot={"id": self.snapshot({"train.py": content}), "files": 1, "bytes": len(content)},
        )

    def snapshot(self, files: Mapping[str, bytes]) -> str:
        """A snapshot of these files."""
        entries = []
        for name, content in files.items():
            digest = hashlib.sha256(content).hexdigest()
            self.store.files.create(layout.blob(digest), content)
            entries.append([name, "f", 0o644, len(content), digest])
        snapshot_id = hashlib.sha256(repr(entries).encode()).hexdigest()
        self.store.files.create_json(layout.snapshot(snapshot_id), {"format": 1, "entries": entries})
        return snapshot_id

    def start(self, code: str, **job: Any) -> str:
        """Create and submit a run; returns its id."""
        spec = self.spec(code, **job)
        self.submit(spec)
        return spec.run_id

    def submit(self, spec: RunSpec) -> None:
        """What `lifecycle.submit` does once it has a spec; can be done again."""
        self.store.create(spec)
        record = self.store.record(spec.run_id)
        if record.verdict is None and record.claim is None:
            targets.get(spec.target).submit(record.spec, self.store)

    def look(self, run_id: str) -> View:
        """Look at a run, as somebody who watches it does: what it has written comes home."""
        return observe.look(self.store, run_id)

    def run(self, code: str, **job: Any) -> View:
        """Start a run and wait for its end."""
        return self.wait(self.start(code, **job))

    def wait(self, run_id: str, timeout: float = 60) -> View:
        """Wait for the end of a run."""
        view = wait.wait(self.store, run_id, poll_interval=0.05, timeout=timeout)
        assert view.terminal, f"{run_id} goes on: {view.status}"
        return view

    # ------------------------------------------------------------------ what is there

    def mark_file(self, run_id: str) -> Path:
        """Where the scripts of a run leave their marks."""
        return self.marks_folder / f"{run_id}.marks"

    def marks(self, run_id: str) -> list[str]:
        """Words that the scripts of a run left, in order."""
        file = self.mark_file(run_id)
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def marked(self, run_id: str, word: str) -> None:
        """Wait until a script has left this word."""
        until(lambda: word in self.marks(run_id))

    def lines(self, run_id: str, rank: int | None = None) -> list[str]:
        """Output of the ranks as people see it."""
        self.look(run_id)
        return [line.text for line in Follower(self.store, run_id, rank).drain()]

    def path(self, run_id: str, *names: str) -> Path:
        """A path in the folder of a run."""
        assert self.store.files.local_root is not None
        return self.store.files.local_root.joinpath(layout.run(run_id), *names)

    def has(self, run_id: str, name: str) -> bool:
        """Does the run show a file of that name now, to whoever looks?"""
        self.look(run_id)
        return bool(artifacts.names(self.store.files, run_id, name))

    def work(self, run_id: str) -> str:
        """The script's working directory, as the script sees it."""
        local = self.target["type"] == "local"
        return str(self.path(run_id, "node_0", "work")) if local else docker_plan.WORK_FOLDER

    def output(self, run_id: str, name: str) -> str:
        """Content of a file of the run."""
        return self.path(run_id, "files", *name.split("/")).read_text(encoding="utf-8")

    def supervisor(self, run_id: str) -> int:
        """Process id of the supervisor, once it has claimed the run."""
        until(lambda: self.store.record(run_id).claim is not None)
        return int((self.store.record(run_id).claim or {})["pid"])

    def kill(self, run_id: str, part: str, number: int, rank: int = 0, ranks: int = 1) -> None:
        """Send a signal to the `wrapper` or the `script` of a rank."""
        pid = self.started(run_id, ranks)[rank][part]["pid"]
        if self.target["type"] == "local":
            os.kill(pid, number)
        else:
            code = f"import os; os.kill({pid}, {int(number)})"
            node = int(self.store.record(run_id).starts[rank]["node"])
            docker("exec", docker_plan.container_name(run_id, node), "python3", "-c", code)

    def kill_supervisor(self, run_id: str) -> None:
        """KILL the supervisor, and with it, where it is the first process of a container, all others."""
        if self.target["type"] == "local":
            os.kill(self.supervisor(run_id), signal.SIGKILL)
        else:
            docker("kill", docker_plan.container_name(run_id))

    def started(self, run_id: str, ranks: int = 1) -> list[Mapping[str, Any]]:
        """Start records of the ranks, once they are there."""
        until(lambda: self.look(run_id) and len(self.store.record(run_id).starts) == ranks)
        return list(self.store.record(run_id).starts.values())

    def left_behind(self, run_id: str) -> list[str]:
        """Processes that carry the run's id, its work folder, half-written files: what must not outlive a run."""
        found = [f"process {pid}: {line}" for pid, line in processes_of(run_id)]
        folders = [self.path(run_id, "node_0", name) for name in ("work", "checkpoints", "stacks")]
        found += [str(folder) for folder in folders if folder.exists()]
        found += [str(group) for group in self.groups(run_id)]
        found += [str(one) for one in self.path(run_id).rglob("outbox")]
        if self.target["type"] == "docker":
            found += docker_objects(run_id)
        return found + [str(one) for one in self.path(run_id).rglob(f"{protocol.TEMPORARY}*")]

    def groups(self, run_id: str) -> list[Path]:
        """Control groups of a run, if it has any now."""
        file = self.path(run_id, "node_0", protocol.MEMORY_FILE)
        folder = Path(json.loads(file.read_text())["folder"]) if file.exists() else None
        return [] if folder is None or not folder.exists() else [folder, *folder.glob("node_*/rank_*")]

    def nothing_left(self, run_id: str, seconds: float = 2.0) -> bool:
        """Is all of a run gone but its records? A supervisor that has reported takes some milliseconds to end."""
        deadline = time.monotonic() + seconds
        while self.left_behind(run_id) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert self.left_behind(run_id) == []
        return True

    def close(self) -> None:
        """End whatever a failed test left."""
        for run_id in self.run_ids:
            if self.target["type"] == "docker":
                remove_docker_objects(run_id)
            engine.end_leftovers(run_id)
            for pid, _ in processes_of(run_id):
                with contextlib.suppress(ProcessLookupError):  # it ends by itself
                    os.kill(pid, 9)
            for group in self.groups(run_id)[:1]:
                cgroups.remove({"folder": str(group)})


def docker_objects(run_id: str) -> list[str]:
    """Names of containers, volumes and networks of a run."""
    label = f"label={docker_plan.RUN_LABEL}={run_id}"
    commands = (
        ["ps", "-a", "--format", "container {{.Names}}"],
        ["volume", "ls", "--format", "volume {{.Name}}"],
        ["network", "ls", "--format", "network {{.Name}}"],
    )
    return [line for command in commands for line in docker(*command, "--filter", label).splitlines()]


def remove_docker_objects(run_id: str) -> None:
    """Remove whatever an engine has of a run."""
    for one in docker_objects(run_id):
        kind, _, name = one.partition(" ")
        force = [] if kind == "network" else ["-f"]
        subprocess.run(["docker", kind, "rm", *force, name], capture_output=True, check=False)


def docker(*command: str, check: bool = True) -> str:
    """What the command line client says."""
    return subprocess.run(["docker", *command], capture_output=True, text=True, check=check).stdout.strip()


def changed_image(name: str, *command: str) -> str:
    """The test image after a command was run in it, in place of that of the last time."""
    docker("image", "rm", f"airflow-train-test/{name}", check=False)
    docker("run", "--name", name, IMAGE, *command)
    try:
        docker("commit", name, f"airflow-train-test/{name}")
    finally:
        docker("rm", name)
    return f"airflow-train-test/{name}"


def processes_of(run_id: str) -> list[tuple[int, str]]:
    """Living processes that carry a run id in their environment or command line, but for this one."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and protocol.start_time(int(name)):
            try:
                line, environment = (
                    Path("/proc", name, what).read_bytes() for what in ("cmdline", "environ")
                )
            except OSError:
                continue
            if run_id.encode() in line or f"{protocol.RUN_ID}={run_id}".encode() in environment.split(b"\0"):
                found.append((int(name), line.replace(b"\0", b" ").decode(errors="replace")))
    return found


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it didn't come to that"
        time.sleep(0.005)
