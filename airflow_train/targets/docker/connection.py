"""Where an engine is, and the connections to it."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Mapping
from typing import Any

from airflow_train.exceptions import ConfigurationError, InfrastructureFailure
from airflow_train.targets.docker.errors import sentences

#: Options of a target that say where the engine is.
CONNECTION = ("host", "context", "tls_ca", "tls_cert", "tls_key")
#: The oldest API that has all we ask for; Docker 20.10 speaks 1.41.
OLDEST = (1, 40)
#: Seconds without an answer after which an engine doesn't answer.
PATIENCE = 60
_DEFAULT = "unix:///var/run/docker.sock"

#: (process, engine) → its client, which any thread may use.
_clients: dict[tuple[Any, ...], Any] = {}
_lock = threading.Lock()


class Connection:
    """The way to one engine; holds no socket itself, so that it may be used after a fork and from any thread."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = {name: options[name] for name in CONNECTION if options.get(name)}
        self.key = json.dumps(self._options, sort_keys=True)

    @property
    def where(self) -> str:
        """Its address, for people."""
        if "context" in self._options:
            return f"context {self._options['context']}"
        return str(self._options.get("host") or os.environ.get("DOCKER_HOST") or _DEFAULT)

    def client(self, timeout: int = PATIENCE, *, fresh: bool = False) -> Any:
        """A `docker.APIClient`: this process's, or a fresh one, which is the caller's to close.

        :raises EngineUnreachable: nobody answers.
        """
        key = (os.getpid(), self.key, self.where, timeout)
        if fresh:
            with sentences("connecting", self.where):
                return self._connect(timeout)
        with _lock:
            if key not in _clients:
                with sentences("connecting", self.where):
                    _clients[key] = self._connect(timeout)
            return _clients[key]

    def _connect(self, timeout: int) -> Any:
        import docker

        host, tls = self._options.get("host") or os.environ.get("DOCKER_HOST"), self._tls()
        if not host:
            host, tls = self._of_context(tls)
        host = str(host or _DEFAULT)
        if tls is not None:
            host = host.replace("tcp://", "https://", 1)
        if host.startswith("unix://"):
            _knock(host.removeprefix("unix://"))
        client = docker.APIClient(base_url=host, tls=tls or False, timeout=timeout, version="auto")
        spoken = tuple(int(part) for part in client.api_version.split("."))
        if spoken < OLDEST:
            raise InfrastructureFailure(
                f"the Docker engine at {self.where} speaks API {client.api_version}, but "
                f"{'.'.join(map(str, OLDEST))} is needed (Docker 19.03); upgrade it."
            )
        return client

    def _tls(self) -> Any:
        from docker.tls import TLSConfig

        named = {name: self._options.get(name) for name in ("tls_ca", "tls_cert", "tls_key")}
        if not any(named.values()):
            folder = os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")
            if self._options.get("host") or not os.environ.get("DOCKER_TLS_VERIFY"):
                return None
            named = {
                name: os.path.join(folder, f"{stem}.pem")
                for name, stem in (("tls_ca", "ca"), ("tls_cert", "cert"), ("tls_key", "key"))
            }
        pair = (named["tls_cert"], named["tls_key"]) if named["tls_cert"] and named["tls_key"] else None
        return TLSConfig(client_cert=pair, ca_cert=named["tls_ca"], verify=bool(named["tls_ca"]) or None)

    def _of_context(self, tls: Any) -> tuple[str | None, Any]:
        from docker.context import ContextAPI

        name = self._options.get("context")
        context = ContextAPI.get_context(name) if name else ContextAPI.get_current_context()
        if context is None:
            raise ConfigurationError(
                f"there is no Docker context {name!r} on this machine; `docker context ls` shows those that are."
            )
        return context.Host, tls or context.TLSConfig

    def version(self) -> dict[str, Any]:
        """What the engine says of itself."""
        client = self.client()
        with sentences("asking for its version", self.where):
            found: dict[str, Any] = client.version()
            return found


def _knock(path: str) -> None:
    """Is anybody there? The package docker leaves a socket open where nobody is.

    :raises OSError: nobody.
    """
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(path)
