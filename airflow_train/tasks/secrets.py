"""Secrets as Airflow keeps them: connections and variables, from every secrets backend that is configured.

Used by tasks, and by commands, which read Airflow's database themselves.
"""

from __future__ import annotations

from typing import Any

from airflow_train.definitions.secrets import Reference
from airflow_train.exceptions import InfrastructureFailure, SecretNotFound
from airflow_train.lifecycle.secrets import Source, from_environment
from airflow_train.targets import connections
from airflow_train.tasks import compat


def source() -> Source:
    """Where a task gets its run's secrets from. Airflow hides each in the task log from then on."""
    return Source(resolve, knows)


def resolve(wanted: Reference) -> str:
    """Value of a reference.

    :raises SecretNotFound: there is no such connection, part of it, or variable.
    :raises InfrastructureFailure: Airflow can't be asked.
    """
    value = _READERS[wanted.scheme](wanted)
    if wanted.private:
        compat.mask_secret(value)
    return value


def connection(conn_id: str) -> connections.Connection:
    """A whole connection, for a compute target that is reached by it.

    :raises SecretNotFound: there is none of that id.
    :raises InfrastructureFailure: Airflow can't be asked.
    """
    found = _found(conn_id)
    if found.password:
        compat.mask_secret(found.password)
    return connections.Connection(
        str(found.conn_type or ""),
        str(found.host or ""),
        found.port,
        str(found.login or ""),
        str(found.password or ""),
        dict(found.extra_dejson),
    )


def knows(text: str) -> bool:
    """Does a text hold what Airflow hides in this process's logs, such as what `{{ conn.x.password }}` gave?"""
    return bool(compat.redacted(text) != text)


def _found(conn_id: str) -> Any:
    from airflow.sdk import Connection

    mend = f"add it in Airflow (Admin, Connections), or as AIRFLOW_CONN_{conn_id.upper()}"
    return _asked(lambda: Connection.get(conn_id), f"there is no connection {conn_id}; {mend}")


def _connection(wanted: Reference) -> str:
    found = _found(wanted.name)
    value = found.get_uri() if wanted.field == "uri" else _part(found, wanted.field)
    if value is None or value == "":
        raise SecretNotFound(
            f"connection {wanted.name} has no {wanted.field}; fill it in, or name another part"
        )
    return str(value)


def _part(connection: Any, field: str) -> Any:
    if not field.startswith("extra."):
        return getattr(connection, field)
    extra, name = connection.extra_dejson, field.removeprefix("extra.")
    if name in extra:
        return _text(extra[name])
    for part in name.split("."):
        extra = extra.get(part) if isinstance(extra, dict) else None
    return _text(extra)


def _text(value: Any) -> Any:
    import json

    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _variable(wanted: Reference) -> str:
    from airflow.sdk import Variable

    mend = f"add it in Airflow (Admin, Variables), or as AIRFLOW_VAR_{wanted.name.upper()}"
    return str(_asked(lambda: Variable.get(wanted.name), f"there is no variable {wanted.name}; {mend}"))


def _asked(ask: Any, missing: str) -> Any:
    """What Airflow answers. Its own errors may quote a secret that it couldn't read, so they aren't passed on."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises
        if compat.is_missing(error):
            raise SecretNotFound(missing) from None
        kind = type(error).__name__
    raise InfrastructureFailure(
        f"a secret can't be read from Airflow now ({kind}); look at its secrets backend."
    )


_READERS = {"connection": _connection, "variable": _variable, "env": from_environment}

# Whatever Airflow runs of ours imports this module, and so can use targets that are reached by a connection.
connections.provide(connection)
