"""A Docker engine of a test's own: a real dockerd and containerd that may be killed, alone in their namespaces.

    with PrivateEngine() as engine:      # 2 s, with the test image
        engine.kill()                    # dockerd alone: containers go on
        engine.start()                   # … and end now, unless `live_restore`
        engine.crash()                   # the machine under it: nothing of the engine lives, its disk stays
        engine.start()

It has a process, mount and network namespace: whatever ends the first process of them ends everything in them, so that
nothing outlives a test, however that ends. Containers have no network.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.targets.lab import IMAGE

#: Where `.ci/docker` keeps what it makes the test image from.
CACHE = Path("~/.cache/airflow-train/ci").expanduser()
_NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc")
_PROGRAMS = ("unshare", "mount", "ip", "containerd", "dockerd", "docker")

#: Takes connections and says nothing; its argument is the port.
_SILENCE = """
import socket, sys
listener, taken = socket.create_server(("127.0.0.1", int(sys.argv[1]))), []
while True: taken.append(listener.accept())
"""
#: The first process of the namespaces: starts and kills what it is told to, reaps whatever is left to it, and ends with
#: whoever talks to it.
_INIT = """
import json, os, signal, subprocess, sys, time

def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError:
        pass

signal.signal(signal.SIGCHLD, reap)
for command in (
    "mount -t tmpfs tmpfs /run",
    "mkdir -p /etc/docker",
    "mount --bind %s/etc /etc/docker" % sys.argv[1],  # by which engines are told apart
    "ip link set lo up",
):
    subprocess.run(command.split(), check=True)
started = {}
print("ready", flush=True)
for line in sys.stdin:
    name, order = json.loads(line)
    if isinstance(order, int):
        os.kill(started[name].pid, order)
        while os.path.exists("/proc/%d" % started[name].pid):
            time.sleep(0.005)
    else:
        with open(order.pop(0), "ab") as log:
            started[name] = subprocess.Popen(order, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    print("done", flush=True)
"""


def missing() -> str:
    """Why there can be none here; empty where there can."""
    programs = [one for one in _PROGRAMS if shutil.which(one) is None]
    if programs:
        return f"no engine of its own for this test: {', '.join(programs)} not installed"
    made = subprocess.run([*_NAMESPACES, "true"], capture_output=True, text=True, check=False)
    return f"no engine of its own for this test: {made.stderr.strip()}" if made.returncode else ""


class PrivateEngine:
    """One engine, its disk in a temporary folder."""

    def __init__(self, *, live_restore: bool = False) -> None:
        # a socket's path is short
        self.folder = Path(tempfile.mkdtemp(prefix="train-engine-", dir="/tmp"))
        self.address = f"unix://{self.folder}/docker.sock"
        self.live_restore = live_restore
        self._groups = f"/{self.folder.name}"
        self._init: subprocess.Popen[str] | None = None
        (self.folder / "etc").mkdir()
        (self.folder / "containerd.toml").write_text('disabled_plugins = ["io.containerd.grpc.v1.cri"]\n')

    def __enter__(self) -> Self:
        try:
            self.start()
            self.load()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ its life

    def start(self) -> None:
        """Start whatever of it doesn't live, and wait until it answers."""
        if self._init is None:
            command = [*_NAMESPACES, sys.executable, "-c", _INIT, str(self.folder)]
            with (self.folder / "first.log").open("ab") as log:
                self._init = subprocess.Popen(
                    command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
                )
            self._hear("ready")
            self._order("containerd", self._command("containerd"))
            self._until(lambda: Path(self._inside, "run/containerd.sock").exists())
        if not self.answers():
            self._order("dockerd", self._command("dockerd"))
            self._until(self.answers)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End dockerd alone; its containers are containerd's and go on."""
        self._order("dockerd", number)
        self._until(lambda: not self.answers())

    def crash(self) -> None:
        """End everything at once as a power cut does: engine, shims and containers."""
        if self._init is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._first, signal.SIGKILL)
            self._init.wait(20)
            for stream in (self._init.stdin, self._init.stdout):
                if stream is not None:
                    stream.close()
        self._init = None
        self._until(self._remove_groups)
        (self.folder / "docker.pid").unlink(missing_ok=True)  # of a process that is somebody else now

    def restart(self, number: int = signal.SIGKILL) -> None:
        """Kill dockerd and start it again."""
        self.kill(number)
        self.start()

    def close(self) -> None:
        """Remove it without trace."""
        self.crash()
        shutil.rmtree(self.folder)

    def answers(self) -> bool:
        """Does it?"""
        return not self._client("version").returncode

    def load(self) -> None:
        """Give it the image that tests run in, as `.ci/docker` made it, or from the engine that everybody shares."""
        if made := sorted(CACHE.glob("base-*.tar")):
            self.docker("import", str(made[-1]), IMAGE)
            return
        with subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "--host", self.address, "load", "--quiet"], stdin=saved.stdout, check=True
            )

    def silence(self, port: int = 5000) -> int:
        """Let a registry that never answers listen where the engine is; its port."""
        self._order("silence", [str(self.folder / "silence.log"), sys.executable, "-c", _SILENCE, str(port)])
        return port

    # ------------------------------------------------------------------ looking into it

    def docker(self, *command: str) -> str:
        """What the command line client says."""
        found = self._client(*command)
        assert not found.returncode, found.stderr
        return found.stdout.strip()

    def _client(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
        return subprocess.run(
            ["docker", "--host", self.address, *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def _first(self) -> int:
        """Process id of the namespaces' first process."""
        assert self._init is not None
        return int(Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()[0])

    @property
    def _inside(self) -> str:
        """The file system as the engine sees it."""
        return f"/proc/{self._first}/root"

    def _command(self, program: str) -> list[str]:
        folder, log = str(self.folder), str(self.folder / f"{program}.log")
        if program == "containerd":
            options = {"config": f"{folder}/containerd.toml", "root": f"{folder}/containerd"}
            options |= {"state": "/run/containerd", "address": "/run/containerd.sock", "log-level": "warn"}
        else:
            options = {
                "host": self.address,
                "containerd": "/run/containerd.sock",
                "data-root": f"{folder}/data",
                "exec-root": "/run/docker",
                "pidfile": f"{folder}/docker.pid",
                "cgroup-parent": self._groups,
                "bridge": "none",
                "iptables": "false",
                "ip6tables": "false",
                "live-restore": str(self.live_restore).lower(),
                "log-level": "warn",
            }
        return [log, program, *(f"--{name}={value}" for name, value in options.items())]

    def _order(self, name: str, order: int | list[str]) -> None:
        assert self._init is not None
        assert self._init.stdin is not None
        self._init.stdin.write(json.dumps([name, order]) + "\n")
        self._init.stdin.flush()
        self._hear("done")

    def _hear(self, word: str) -> None:
        assert self._init is not None
        assert self._init.stdout is not None
        assert self._init.stdout.readline().strip() == word, self._last_words()

    def _until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self._last_words()
            time.sleep(0.02)

    def _last_words(self) -> str:
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(line for log in logs for line in log.read_text().splitlines()[-5:])

    def _remove_groups(self) -> bool:
        """Remove control groups, which outlive whoever made them; False while processes end in them."""
        for top in Path("/sys/fs/cgroup").glob(f"*{self._groups}"):
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(FileNotFoundError):
                    try:
                        os.rmdir(folder)
                    except OSError:
                        return False
        return True
