"""The registry of environments as this room knows it: whoever has a run store hands one in.

`from airflow_train import Environment` does so, and everything that submits runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from airflow_train.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_train.definitions.environment import Environment


class Registry(Protocol):
    """What keeps environments under names. `store` is the URI of a run store, by default the configured one."""

    def register(self, environment: Environment, store: str | None) -> Environment:
        """Keep an environment; a new version only where it differs from the newest one of its name."""
        ...

    def get(self, name: str, version: str | int | None, store: str | None) -> Environment:
        """A registered environment, the newest version by default."""
        ...

    def list(self, store: str | None) -> Mapping[str, Environment]:
        """The newest version of every name."""
        ...


_handed: list[Registry] = []


def hand_in(registry: Registry) -> None:
    """Let environments be kept there from now on."""
    _handed[:] = [registry]


def registry() -> Registry:
    """The registry that was handed in.

    :raises ConfigurationError: none was.
    """
    if not _handed:
        raise ConfigurationError(
            "No registry of environments is at hand; write `from airflow_train import Environment`."
        )
    return _handed[0]
