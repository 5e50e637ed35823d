"""A real registry that wants a login, as Debian packs it (`.ci/engines` installs it). Engines speak to it in the open,
as it is on this machine."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from tests.targets.lab import until

USER, PASSWORD = "someone", "right-password"
#: bcrypt, the only kind that it takes.
_HASH = "$2y$04$abcdefghijklmnopqrstuuS80hwFD6gSIL20SCUGvmL7S939BjOHW"


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Address of a registry that keeps its images in `folder`; skips where none is installed."""
    if shutil.which("docker-registry") is None:
        pytest.skip("no docker-registry on PATH; .ci/engines installs it")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "users").write_text(f"{USER}:{_HASH}\n")
    settings = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": True}, "level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "auth": {"htpasswd": {"realm": "test", "path": str(folder / "users")}},
    }
    (folder / "settings.yml").write_text(json.dumps(settings))  # which YAML is, too
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", folder / "settings.yml"], stdout=log, stderr=log
        )
    try:
        until(lambda: process.poll() is not None or _answers(port))
        assert process.poll() is None, (folder / "registry.log").read_text()
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def push(image: str, address: str, name: str) -> str:
    """Give the registry an image under a name, which the engine forgets; returns the whole name."""
    client = docker.APIClient()
    whole = f"{address}/{name}"
    client.tag(image, whole)
    login = {"username": USER, "password": PASSWORD}
    said = list(client.push(whole, auth_config=login, stream=True, decode=True))
    client.remove_image(whole)
    client.close()
    assert not [line for line in said if "error" in line], said
    return whole


def _answers(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0
