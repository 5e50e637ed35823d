"""The connections to an engine."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_train.exceptions import ConfigurationError
from airflow_train.targets.docker import place
from airflow_train.targets.docker.errors import TooOld, sentences

#: The oldest API that has all we ask for; Docker 20.10 speaks 1.41.
OLDEST = (1, 40)
#: Seconds without an answer after which an engine doesn't answer.
PATIENCE = 60
#: Seconds after which a client is made anew, as certificates and connections change.
_LIFE = 600.0
#: What of the environment says where the engine is.
_VARIABLES = (
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "DOCKER_TLS",
)

#: (process, engine, patience) → its client, which any thread may use, and when it was made.
_clients: dict[tuple[Any, ...], tuple[Any, float]] = {}
_lock = threading.Lock()


class Connection:
    """The way to one engine; holds no socket itself, so that it may be used after a fork and from any thread."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = {
            name: options[name] for name in place.CONNECTION if options.get(name) not in (None, "")
        }
        self._found: place.Place | None = None
        self._processors = 0

    @property
    def key(self) -> str:
        """What tells it from other engines, in this process."""
        return json.dumps([self._options, [os.environ.get(name) for name in _VARIABLES]], sort_keys=True)

    @property
    def place(self) -> place.Place:
        """Where it is.

        :raises ConfigurationError: as `place.find`.
        """
        self._found = self._found or place.find(self._options)
        return self._found

    @property
    def where(self) -> str:
        """Its address, for people."""
        return self.place.name

    def client(self, timeout: int = PATIENCE, *, fresh: bool = False) -> Any:
        """A `docker.APIClient`: this process's, or a fresh one, which is the caller's to close.

        :raises EngineUnreachable: nobody answers.
        :raises ConfigurationError: the engine is too old, or what leads to it is wrong.
        """
        key = (os.getpid(), self.key, timeout)
        if fresh:
            with sentences("connecting", self.where):
                return self._connect(timeout)
        with _lock:
            client, made = _clients.get(key, (None, 0.0))
            if client is None or time.monotonic() - made > _LIFE:
                with sentences("connecting", self.where):
                    client = self._connect(timeout)
                _clients[key] = client, time.monotonic()
            return client

    def _connect(self, timeout: int) -> Any:
        import docker
        import docker.errors

        found = self.place
        if found.host.startswith("unix://"):
            _knock(found.host.removeprefix("unix://"))
        oldest = ".".join(map(str, OLDEST))
        # a version that is named keeps the package from asking before certificates are in place
        try:
            client: Any = docker.APIClient(base_url=found.host, timeout=timeout, version=oldest)
        except (docker.errors.InvalidConfigFile, ValueError) as error:
            raise ConfigurationError(
                f"the logins in {place.docker_folder() / 'config.json'} can't be read ({error}); correct them, or "
                "`docker login` again."
            ) from error
        if found.tls is not None:
            _secure(client, found.host, found.tls)
        client.engine_facts = client.version(api_version=False)
        spoken = str(client.engine_facts.get("ApiVersion"))
        if tuple(int(part) for part in spoken.split(".")) < OLDEST:
            client.close()
            raise TooOld(
                f"the Docker engine at {self.where} is too old: it speaks API {spoken}, but {oldest} is needed "
                "(Docker 19.03); upgrade it, or name another."
            )
        client._version = spoken  # noqa: SLF001 - what version="auto" does, had it asked
        return client

    def identity(self) -> str:
        """What tells this engine from every other, wherever it is reached; copies of a machine share the id alone."""
        client = self.client()
        with sentences("asking who it is", self.where):
            found = client.info()
        self._processors = int(found.get("NCPU") or 1)
        return f"{found.get('ID')} {found.get('Name')}"

    @property
    def processors(self) -> int:
        """How many the engine's machine has, as it said first."""
        if not self._processors:
            self.identity()
        return self._processors

    @property
    def architecture(self) -> str:
        """What processors the engine's machine has; empty when it doesn't say."""
        return str(self.client().engine_facts.get("Arch") or "")

    def version(self) -> dict[str, Any]:
        """What the engine says of itself."""
        client = self.client()
        with sentences("asking for its version", self.where):
            found: dict[str, Any] = client.version()
            return found

    def information(self) -> dict[str, Any]:
        """What the engine can, as `docker info` has it."""
        client = self.client()
        with sentences("asking what it can", self.where):
            found: dict[str, Any] = client.info()
            return found

    def try_login(self, username: str, password: str, registry: str) -> None:
        """Have the engine try a login at a registry; nothing keeps it.

        :raises InfrastructureFailure: it isn't good enough, or nobody answers there.
        """
        client = self.client(fresh=True)  # the package docker remembers logins in its clients
        try:
            with sentences(f"trying a login at {registry or 'docker.io'}", self.where):
                client.login(username, password, registry=registry or None, reauth=True)
        finally:
            client.close()


def _secure(client: Any, host: str, tls: place.Tls) -> None:
    """Give a client its certificates and tell it whom to trust."""
    from urllib.request import getproxies, proxy_bypass

    client.verify = tls.verify and (tls.ca or True)
    client.cert = (tls.cert, tls.key) if tls.cert else None
    if tls.ca or not tls.verify:
        # REQUESTS_CA_BUNDLE, where it is set, would win over the CA that is named here
        client.proxies = {} if proxy_bypass(str(urlsplit(host).hostname)) else getproxies()
        client.trust_env = False
    if tls.hostname and tls.verify:
        adapter = type(client.get_adapter(host))()
        adapter.init_poolmanager(10, 10, assert_hostname=tls.hostname)
        client.mount("https://", adapter)


def _knock(path: str) -> None:
    """Is anybody there? The package docker leaves a socket open where nobody is.

    :raises OSError: nobody.
    """
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(path)
