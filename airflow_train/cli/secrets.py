"""Secrets for runs that a command starts: `env:` always, connections and variables where Airflow can be asked."""

from __future__ import annotations

import os

from airflow_train.definitions.secrets import Reference
from airflow_train.exceptions import SecretNotFound
from airflow_train.lifecycle.secrets import Source, from_environment

#: Tells Airflow's SDK that this process may read the database itself (3.1.8 and later; `Connection.get` of a command).
_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


def source() -> Source:
    """Where commands get secrets from. Airflow is imported (1.5 s) only for a connection or variable."""
    return Source(_resolve)


def _resolve(wanted: Reference) -> str:
    if wanted.scheme == "env":
        return from_environment(wanted)
    os.environ.setdefault(_CONTEXT, "server")
    try:
        from airflow_train.tasks.secrets import resolve
    except ImportError as error:
        raise SecretNotFound(
            f"Airflow, which keeps {wanted.scheme}s, can't be imported here ({error}); install it, or write env:NAME"
        ) from error
    return resolve(wanted)
