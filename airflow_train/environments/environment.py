"""`Environment` with the registry of the run store at hand. Light: who only describes one loads no store."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_train.definitions.environment import Environment
from airflow_train.definitions.registered import hand_in

__all__ = ["Environment"]


class _InStore:
    """The registry in a run store."""

    def register(self, environment: Environment, store: str | None) -> Environment:
        """Keep an environment."""
        from airflow_train.environments import registry
        from airflow_train.store.run_store import open_store

        opened = open_store(store)
        opened.prepare()
        return registry.register(opened.files, environment)

    def get(self, name: str, version: str | int | None, store: str | None) -> Environment:
        """A registered environment."""
        from airflow_train.environments import registry
        from airflow_train.store.run_store import open_store

        return registry.find(open_store(store).files, name if version is None else f"{name}:{version}")

    def list(self, store: str | None) -> Mapping[str, Environment]:
        """The newest version of every name."""
        from airflow_train.environments import registry
        from airflow_train.store.run_store import open_store

        return registry.newest(open_store(store).files)


hand_in(_InStore())
