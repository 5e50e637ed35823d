"""Where an engine is: what options, environment, the docker command's contexts and an Airflow connection say of it.

First hit wins, as in the docker command: the target's option `host`, `context`, or `connection` where that names an
engine; DOCKER_HOST; DOCKER_CONTEXT; the current context; the socket of this machine. Reads files, asks no engine.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow_train.exceptions import ConfigurationError, TrainError
from airflow_train.targets import connections
from airflow_train.targets.docker.login import Login

SOCKET = "unix:///var/run/docker.sock"
#: Options of a target that say where the engine is and how it is spoken to.
TLS = ("tls_ca", "tls_cert", "tls_key", "tls_hostname", "tls_verify")
CONNECTION = ("host", "context", "connection", *TLS)
#: Option → what DockerOperator calls the same; a connection's extras may use either name.
_IN_EXTRAS = {
    "tls_ca": "tls_ca_cert",
    "tls_cert": "tls_client_cert",
    "tls_key": "tls_client_key",
    "tls_hostname": "tls_hostname",
    "tls_verify": "tls_verify",
}
_SCHEMES = ("unix://", "tcp://", "http://", "https://")
#: Seconds that what a connection says is believed.
_REMEMBERED = 300.0

_known: dict[tuple[int, str], tuple[float, connections.Connection]] = {}


@dataclass(frozen=True)
class Tls:
    """How both sides know each other; the three are paths of PEM files."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    #: Name that the engine's certificate must bear where that isn't its address.
    hostname: str | None = None
    verify: bool = True


@dataclass(frozen=True)
class Place:
    """An engine's address, and what the user has said about logins there."""

    host: str
    #: None: the engine is spoken to in the open.
    tls: Tls | None = None
    #: How people know it; never shows a login.
    name: str = ""
    login: Login | None = None


def find(options: Mapping[str, Any]) -> Place:
    """The engine of a target with these options.

    :raises ConfigurationError: they contradict each other, or name a context, connection or file that isn't there.
    :raises InfrastructureFailure: Airflow can't be asked for the connection.
    """
    kept = _connection(str(options["connection"])) if options.get("connection") else None
    extra = dict(kept.extra) if kept is not None else {}
    named, login = _of_connection(str(options.get("connection")), kept) if kept is not None else ("", None)
    if options.get("host") or options.get("context"):
        if named:
            raise ConfigurationError(
                f"the connection {options['connection']} names a Docker engine, and so does the option "
                f"{'host' if options.get('host') else 'context'} of the compute target; leave one of them out."
            )
        if options.get("host") and options.get("context"):
            raise ConfigurationError("a compute target has both host and context; leave one of them out.")
    tls = _tls({name: options.get(name, extra.get(name, extra.get(_IN_EXTRAS[name]))) for name in TLS})
    if host := str(options.get("host") or named):
        where = f"{host} (connection {options['connection']})" if named else host
        return _place(host, tls, where, login)
    if context := str(options.get("context") or ""):
        return _of_context(context, tls, login)
    if host := os.environ.get("DOCKER_HOST", ""):
        return _place(host, tls or _tls_of_environment(), host, login)
    context = os.environ.get("DOCKER_CONTEXT") or str(_docker_settings().get("currentContext") or "")
    return _of_context(context, tls, login) if context else Place(SOCKET, tls, SOCKET, login)


def docker_folder() -> Path:
    """Where the docker command keeps its settings."""
    return Path(os.path.expanduser(os.environ.get("DOCKER_CONFIG") or "~/.docker"))


def _docker_settings() -> Mapping[str, Any]:
    path = docker_folder() / "config.json"
    return _document(path) if path.is_file() else {}


def _document(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
        problem = "it is no JSON object"
    except (OSError, ValueError) as error:
        problem = str(error)
    raise ConfigurationError(f"{path}, which the docker command keeps, can't be read: {problem}; correct it.")


def _place(host: str, tls: Tls | None, name: str, login: Login | None) -> Place:
    if host.startswith("ssh://"):
        raise ConfigurationError(
            f"the Docker engine at {host} is to be reached by ssh, which this version can't; forward its socket "
            "(ssh -L /tmp/docker.sock:/var/run/docker.sock …) and name unix:///tmp/docker.sock, or let it listen on "
            "tcp:// with certificates."
        )
    if not _is_address(host):
        raise ConfigurationError(
            f"{host!r} is no address of a Docker engine; write unix:///path/to/docker.sock or tcp://host:2376."
        )
    if host.startswith("https://"):
        tls = tls or Tls()
    if tls is not None and host.startswith("tcp://"):
        host = host.replace("tcp://", "https://", 1)
    return Place(host, tls, name, login)


def _is_address(host: str) -> bool:
    if not host.startswith(_SCHEMES):
        return False
    try:
        found = urlsplit(host)
        return bool(found.path if found.scheme == "unix" else found.hostname and found.port != 0)
    except ValueError:  # no number, or none that a port can have
        return False


def _tls(said: Mapping[str, Any]) -> Tls | None:
    """What options or extras say; None when they say nothing."""
    if not any(value not in (None, "") for value in said.values()):
        return None
    paths = {name: str(said[name]) for name in TLS[:3] if said[name]}
    for name, path in paths.items():
        paths[name] = os.path.expanduser(path)
        if not os.path.isfile(paths[name]):
            raise ConfigurationError(f"{name} is {path}, but there is no such file; correct it.")
    if ("tls_cert" in paths) != ("tls_key" in paths):
        raise ConfigurationError("tls_cert and tls_key belong together; give both, or leave both out.")
    return Tls(
        paths.get("tls_ca"),
        paths.get("tls_cert"),
        paths.get("tls_key"),
        str(said["tls_hostname"]) if said["tls_hostname"] else None,
        str(said["tls_verify"]).lower() not in ("false", "no", "0"),
    )


def _tls_of_environment() -> Tls | None:
    """What goes with DOCKER_HOST."""
    if not (os.environ.get("DOCKER_TLS_VERIFY") or os.environ.get("DOCKER_TLS")):
        return None
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or docker_folder())
    return _material(folder, verify=bool(os.environ.get("DOCKER_TLS_VERIFY"))) or Tls()


def _material(folder: Path, verify: bool) -> Tls | None:
    """The files that the docker command expects in a folder."""
    found = {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}
    there = {name: path for name, path in found.items() if os.path.isfile(path)}
    if not {"cert", "key"} <= set(there):
        there = {name: path for name, path in there.items() if name == "ca"}
    return Tls(**there, verify=verify) if there else None


def _of_context(name: str, tls: Tls | None, login: Login | None) -> Place:
    """An entry of `docker context ls`."""
    if name == "default":
        return Place(SOCKET, tls, SOCKET, login)
    number = hashlib.sha256(name.encode()).hexdigest()
    contexts = docker_folder() / "contexts"
    meta = contexts / "meta" / number / "meta.json"
    if not meta.is_file():
        raise ConfigurationError(
            f"there is no Docker context {name!r} on this machine; `docker context ls` shows those that are."
        )
    endpoint = (_document(meta).get("Endpoints") or {}).get("docker") or {}
    verify = not endpoint.get("SkipTLSVerify")
    tls = tls or _material(contexts / "tls" / number / "docker", verify)
    host = str(endpoint.get("Host") or SOCKET)
    return _place(host, tls, f"{host} (context {name})", login)


def _connection(conn_id: str) -> connections.Connection:
    """An Airflow connection, remembered for a while: every call to an engine asks for it."""
    key = os.getpid(), conn_id
    asked, kept = _known.get(key, (0.0, None))
    if kept is None or time.monotonic() - asked > _REMEMBERED:
        try:
            kept = connections.get(conn_id)
        except TrainError:  # Airflow can't always be asked, and what it said holds until it says otherwise
            if kept is None:
                raise
        _known[key] = time.monotonic(), kept
    return kept


def _of_connection(conn_id: str, kept: connections.Connection) -> tuple[str, Login | None]:
    """The engine that a connection names, if it does, and the login at a registry, if it holds one.

    As the provider apache-airflow-providers-docker has it, a connection's host is a registry and its login belongs
    there; the engine is the extra `docker_url`, which DockerOperator has as an argument. A host of tcp:// or unix://
    can only be an engine; then the extra `registry` says where the login belongs.
    """
    if kept.kind != "docker":
        raise ConfigurationError(
            f"the connection {conn_id} is of type {kept.kind!r} but must be docker; name another, or correct it."
        )
    engine = str(kept.extra.get("docker_url") or "")
    host = f"{kept.host}:{kept.port}" if kept.port and kept.host else kept.host
    if host.startswith(("tcp://", "unix://")):
        engine, host = engine or host, ""
    registry = str(kept.extra.get("registry") or host)
    if not engine and not kept.login:
        raise ConfigurationError(
            f"the connection {conn_id} names neither a Docker engine nor a login at a registry; give it the extra "
            "docker_url, or host, login and password of the registry."
        )
    login = Login(kept.login, kept.password, registry, f"connection {conn_id}") if kept.login else None
    return engine, login
