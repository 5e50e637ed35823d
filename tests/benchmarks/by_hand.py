"""Containers of several nodes and an mpirun between them, as one who knows both writes it in half an hour.

Everything starts at once and nothing is polled but a port that isn't open yet. Nobody who started the containers may
die, nobody is kept out, no code comes in and nothing goes home: this is how long it takes without all that.
"""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from tests.runtime.crowd import IMAGES

#: A plain agent: a server on each node that runs whatever it is told, and what mpirun calls in place of ssh.
AGENT = """
import os, socket, subprocess, sys, threading, time
PORT = 7000

def serve(connection):
    command = connection.makefile().readline()
    process = subprocess.Popen(["/bin/sh", "-c", command], stdout=connection, stderr=connection)
    connection.sendall(b"\\0%d" % process.wait())
    connection.close()

def call(host, command):
    while True:
        try:
            connection = socket.create_connection((host, PORT))
            break
        except OSError:
            time.sleep(0.02)
    connection.sendall(command.encode() + b"\\n")
    said = b""
    while data := connection.recv(65536):
        said += data
        sys.stdout.buffer.write(data.partition(b"\\0")[0])
        sys.stdout.flush()
    return int(said.rpartition(b"\\0")[2] or 255)

if sys.argv[1:] == ["serve"]:
    listener = socket.create_server(("", PORT), backlog=64)
    while True:
        threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()
sys.exit(call(sys.argv[1], " ".join(sys.argv[2:])))
"""
#: How an mpirun is told of it, by the major version of Open MPI.
_AGENT_OPTIONS = {4: ("--mca", "plm_rsh_agent"), 5: ("--prtemca", "plm_ssh_agent")}
#: Waits for every sshd, as ssh itself would for a second between two tries.
WAIT = """
for node in "$@"; do until (exec 3<>/dev/tcp/$node/22) 2>/dev/null; do sleep 0.02; done; done
"""
_SSH = """FROM {image}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends openssh-server openssh-client >/dev/null \\
    && mkdir -p /run/sshd /root/.ssh && chmod 700 /root/.ssh \\
    && ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519 \\
    && cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys \\
    && printf 'StrictHostKeyChecking no\\nUserKnownHostsFile /dev/null\\nLogLevel ERROR\\n' > /root/.ssh/config
"""


def with_ssh(major: int) -> str:
    """Name of an image with Open MPI, ssh, sshd and keys, which the engine builds once."""
    name = f"{IMAGES[major]}-ssh"
    _docker("build", "--quiet", "--tag", name, "-", text=_SSH.format(image=IMAGES[major]))
    return name


#: Seconds after which an mpirun hangs: that of Open MPI 5 does so now and then, whatever its agent is, and not in runs.
PATIENCE = 40.0


class Hung(Exception):
    """mpirun didn't end."""


class ByHand:
    """Nodes of one run that somebody starts by hand."""

    def __init__(self, folder: Path, nodes: int, image: str, major: int, *, ssh: bool = False) -> None:
        """:param folder: is seen in the containers as `/bench`.
        :param major: version of Open MPI in the image.
        """
        self._folder, self._image, self._ssh = folder, image, ssh
        self._agent = _AGENT_OPTIONS[major]
        self._name = f"by-hand-{uuid.uuid4().hex[:8]}"
        self.names = [f"{self._name}-{node}" for node in range(nodes)]
        (folder / "agent.py").write_text(AGENT, encoding="utf-8")

    def run(self, command: Sequence[str], per_node: int = 1, options: Sequence[str] = ()) -> str:
        """Network, containers, mpirun, and all of it away again; returns what the ranks have said.

        :raises Hung: it took too long.
        """
        _docker("network", "create", self._name)
        first, *others = self.names
        serve = ["/usr/sbin/sshd", "-D"] if self._ssh else ["python3", "/bench/agent.py", "serve"]
        starting = [self._start(name, ["-d"], serve) for name in others]
        mpirun = [
            *("mpirun", "--allow-run-as-root", "-n", str(per_node * len(self.names)), "--oversubscribe"),
            *("--bind-to", "none", "--host", ",".join(f"{name}:{per_node}" for name in self.names)),
            *(() if self._ssh else (*self._agent, "python3 /bench/agent.py")),
            *("--mca", "pml", "ob1", "--mca", "btl_tcp_if_include", "eth0", *options, *command),
        ]
        if self._ssh:
            mpirun = ["bash", "-c", f"{WAIT}exec {' '.join(mpirun)}", "wait", *others]
        done = self._start(first, [], mpirun)
        try:
            said, errors = done.communicate(timeout=PATIENCE)
            ended = [one.wait(timeout=PATIENCE) for one in starting]
        except subprocess.TimeoutExpired as error:
            raise Hung from error
        finally:
            self._remove()
        if done.returncode or any(ended):
            raise RuntimeError(f"by hand: {errors.strip() or said.strip()}")
        return said

    def _remove(self) -> None:
        _docker("rm", "-f", *self.names)
        deadline = time.monotonic() + 5
        while True:
            try:
                _docker("network", "rm", self._name)
                break
            except subprocess.CalledProcessError:  # a busy engine still sees somebody in it
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _start(self, name: str, how: Sequence[str], command: Sequence[str]) -> subprocess.Popen[str]:
        run = ["docker", "run", *how, "--name", name, "--hostname", name, "--network", self._name]
        run += ["-v", f"{self._folder}:/bench:ro", self._image, *command]
        return subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _docker(*arguments: str, text: str | None = None) -> str:
    command = ["docker", *arguments]
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}  # the builder that every client has
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, input=text)
    return done.stdout
