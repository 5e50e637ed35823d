"""Airflow's connections, for targets that are reached by one.

Only Airflow can read them, and no target knows Airflow: whoever may ask it (`tasks/`, `cli/`) hands in how, once per
process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_train.exceptions import SecretNotFound


@dataclass(frozen=True)
class Connection:
    """What Airflow keeps under an id."""

    kind: str
    host: str = ""
    port: int | None = None
    login: str = ""
    password: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


def _nobody(conn_id: str) -> Connection:
    raise SecretNotFound(
        f"compute target connection {conn_id!r} is kept by Airflow, which this process can't ask; use an operator or "
        "the command airflow-train, or name the engine by host or context."
    )


_reader: Callable[[str], Connection] = _nobody


def provide(reader: Callable[[str], Connection]) -> None:
    """Hand in how this process reads connections; `reader` raises SecretNotFound where there is none of that id."""
    global _reader  # noqa: PLW0603 - one Airflow per process
    _reader = reader


def get(conn_id: str) -> Connection:
    """The connection of that id.

    :raises SecretNotFound: there is none, or nobody can read it here.
    :raises InfrastructureFailure: Airflow doesn't answer.
    """
    return _reader(conn_id)
