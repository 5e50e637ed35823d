"""Secrets for runs that a command starts: `env:` always, connections and variables where Airflow can be asked."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from airflow_train.definitions.secrets import Reference
from airflow_train.exceptions import SecretNotFound
from airflow_train.lifecycle.secrets import Source, from_environment
from airflow_train.targets import connections

#: Tells Airflow's SDK that this process may read the database itself (3.1.8 and later; `Connection.get` of a command).
_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


def source() -> Source:
    """Where commands get secrets from. Airflow is imported (1.5 s) only for a connection or variable."""
    return Source(_resolve)


def _resolve(wanted: Reference) -> str:
    if wanted.scheme == "env":
        return from_environment(wanted)
    value: str = _airflows(f"{wanted.scheme}s", "write env:NAME").resolve(wanted)
    return value


def connection(conn_id: str) -> connections.Connection:
    """A connection, for compute targets that are reached by one.

    :raises SecretNotFound: there is none of that id, or no Airflow here.
    """
    found: connections.Connection = _airflows("connections", "name the engine by host or context").connection(
        conn_id
    )
    return found


def _airflows(what: str, instead: str) -> Any:
    """The module that reads what Airflow keeps."""
    os.environ.setdefault(_CONTEXT, "server")
    try:
        return import_module("airflow_train.tasks.secrets")
    except ImportError as error:
        raise SecretNotFound(
            f"Airflow, which keeps {what}, can't be imported here ({error}); install it, or {instead}"
        ) from error
