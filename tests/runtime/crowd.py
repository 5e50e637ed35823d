"""Nodes of one run that have supervisors of their own: processes of this machine, or containers.

What a target does, without one: the files of each node are laid out in a folder, then `container` is started on it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from airflow_train.definitions.job import Job
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.targets import bundle, certificates, launch

ROOT = "/airflow-train"
#: Debian's Open MPI by major version; `.ci/images` makes the images.
IMAGES = {4: "airflow-train-test/openmpi4", 5: "airflow-train-test/openmpi5"}
RUN_ID = "crowd"


class Crowd:
    """Files of all nodes of a run, and what they have left."""

    def __init__(self, folder: Path, nodes: int, code: str, host: str, port: int, **job: Any) -> None:
        self.folder, self.nodes = folder, nodes
        self._host, self._port = host, port
        defaults = {"entry_script": "train.py", "grace_seconds": 2.0, "node_count": nodes}
        self.limits = {"meet": job.pop("meet_limit", 60.0)}
        self.spec = RunSpec(
            run_id=RUN_ID,
            experiment="crowd",
            created=protocol.timestamp(),
            definition={},
            job=asdict(Job("Estimator", ".", **{**defaults, **job})),
            target={"name": "crowd", "type": "crowd", "options": {}},
            snapshot={"id": "", "files": 1, "bytes": 1},
            limits=self.limits,
        )
        self.keys = certificates.make(RUN_ID, nodes)
        for node in range(nodes):
            self.lay_out(node, textwrap.dedent(code))

    def root(self, node: int) -> str:
        """Where a node finds its folder."""
        raise NotImplementedError

    def here(self, node: int, *names: str) -> Path:
        """The same as this process finds it."""
        return self.folder.joinpath(f"node{node}", *names)

    def places(self, node: int) -> launch.Places:
        root = self.root(node)
        return launch.Places(
            run_folder=f"{root}/run",
            snapshot={"folder": f"{root}/own/code"},
            runtime=f"{root}/runtime/runtime.pyz",
            script=f"{root}/runtime/script",
            python=self.python,
            interpreter=self.python,
            work=f"{root}/own/work",
            outbox=f"{root}/own/outbox",
            inside=f"{root}/own",
            meeting=launch.Meeting(node, self._host, f"{root}/own/keys", self._port),
        )

    python = sys.executable

    def lay_out(self, node: int, code: str) -> None:
        _, archive, modules = bundle.contents()
        places = self.places(node)
        self._write(node, "runtime/runtime.pyz", archive)
        for name, content in modules.items():
            self._write(node, f"runtime/script/{name}", content)
        self._write(node, "own/code/train.py", code.encode())
        for name, content in self.keys[node].items():
            self._write(node, f"own/keys/{name}", content, 0o400)
        made = json.dumps(launch.build(self.spec, places)).encode()
        self._write(node, f"run/{protocol.node_folder(node)}/{protocol.LAUNCH_FILE}", made)
        self.here(node, "own", "outbox").mkdir()

    def _write(self, node: int, name: str, content: bytes, mode: int = 0o644) -> None:
        path = self.here(node, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)

    def command(self, node: int) -> list[str]:
        places = self.places(node)
        return [*places.runtime_command(), "container", places.file()]

    def start(self, *nodes: int) -> None:
        """Start these nodes, all by default."""
        for node in nodes or range(self.nodes):
            self.start_one(node)

    def start_one(self, node: int) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------------ what is there

    def log(self, node: int) -> str:
        """The supervisor's own words."""
        file = self.here(node, "run", protocol.node_log(node))
        return file.read_text() if file.exists() else ""

    def lines(self, rank: int) -> list[str]:
        """Output of a rank."""
        for node in range(self.nodes):
            file = self.here(node, "run", protocol.rank_log(rank))
            if file.exists():
                return [line.partition(" ")[2] for line in file.read_text().splitlines()]
        return []

    def record(self, node: int, name: str) -> dict[str, Any]:
        """A record of a node; empty while there is none."""
        file = self.here(node, "run", protocol.node_folder(node), name)
        return json.loads(file.read_text()) if file.exists() else {}

    def stop_record(self, node: int = 0) -> dict[str, Any]:
        return self.record(node, protocol.STOP_FILE)

    def exits(self) -> dict[int, Mapping[str, Any]]:
        """Exit records as node 0 has them."""
        found = self.here(0, "run", "ranks").glob("*/exit.json")
        records = [json.loads(file.read_text()) for file in found]
        return {one["rank"]: one for one in sorted(records, key=lambda one: one["rank"])}

    def events(self) -> list[str]:
        """Reasons of the events, as node 0 tells them."""
        files = sorted(self.here(0, "run", protocol.EVENTS_FOLDER).glob("*.json"))
        return [json.loads(file.read_text())["reason"] for file in files]

    def words(self) -> str:
        """Everything that a failed test should show."""
        logs = [f"--- node {node}\n{self.log(node)}" for node in range(self.nodes)]
        return "\n".join([*logs, str(self.events()), str(self.stop_record())])


class Processes(Crowd):
    """Nodes as processes of this machine."""

    def __init__(self, folder: Path, nodes: int, code: str, **job: Any) -> None:
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            port = holder.getsockname()[1]
        super().__init__(folder, nodes, code, job.pop("host", "127.0.0.1"), job.pop("port", port), **job)

    def root(self, node: int) -> str:
        return str(self.here(node))

    def start_one(self, node: int) -> None:
        self.running[node] = subprocess.Popen(self.command(node), start_new_session=True)

    def wait(self, *nodes: int, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        for node in nodes or range(self.nodes):
            try:
                self.running[node].wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"node {node} goes on:\n{self.words()}") from None

    def kill(self, node: int) -> None:
        self.running[node].kill()

    def stop(self, node: int) -> None:
        """As a paused container: nothing of it moves."""
        for pid in self.family(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def family(self, node: int) -> list[int]:
        """The supervisor and everything below it."""
        from airflow_train.runtime import processes

        pid = self.running[node].pid
        return [pid, *processes.descendants(pid)]

    def close(self) -> None:
        for node, process in self.running.items():
            for pid in self.family(node) if process.poll() is None else []:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


class Containers(Crowd):
    """Nodes as containers on a network of their own."""

    python = "/usr/bin/python3"

    def __init__(
        self, folder: Path, nodes: int, code: str, image: str, user: str = "12345:12345", **job: Any
    ) -> None:
        self.name = f"crowd-{uuid.uuid4().hex[:8]}"
        self._image, self._user = image, user
        self.more: list[str] = job.pop("arguments", [])
        super().__init__(folder, nodes, code, f"{self.name}-0", protocol.MEETING_PORT, **job)
        uid, _, gid = user.partition(":")
        subprocess.run(["chown", "-R", f"{uid}:{gid or uid}", str(folder)], check=True)
        docker("network", "create", self.name)

    def root(self, node: int) -> str:
        return ROOT

    def arguments(self, node: int) -> list[str]:
        command = self.command(node)
        container = f"{self.name}-{node}"
        return [
            *("--name", container, "--hostname", container, "--network", self.name),
            *("--user", self._user, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),
            *("--security-opt", "no-new-privileges", "-e", f"NODE_OWN=of node {node}", *self.more),
            *("-v", f"{self.here(node)}:{ROOT}", "--entrypoint", command[0], self._image, *command[1:]),
        ]

    def create(self) -> None:
        """Make all containers, to be started later."""
        for node in range(self.nodes):
            docker("create", *self.arguments(node))

    def start_one(self, node: int) -> None:
        docker("run", "-d", *self.arguments(node))

    def start_all(self) -> None:
        """Start what `create` has made, at once."""
        docker("start", *(f"{self.name}-{node}" for node in range(self.nodes)))

    def wait(self, *nodes: int, timeout: float = 60) -> None:
        names = [f"{self.name}-{node}" for node in nodes or range(self.nodes)]
        try:
            subprocess.run(["docker", "wait", *names], check=True, capture_output=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"nodes go on:\n{self.words()}") from None

    def kill(self, node: int) -> None:
        docker("kill", f"{self.name}-{node}")

    def close(self) -> None:
        names = [f"{self.name}-{node}" for node in range(self.nodes)]
        subprocess.run(["docker", "rm", "-f", *names], capture_output=True, check=False)
        docker("network", "rm", self.name)


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextlib.contextmanager
def closing(crowd: Any) -> Iterator[Any]:
    try:
        yield crowd
    finally:
        crowd.close()
