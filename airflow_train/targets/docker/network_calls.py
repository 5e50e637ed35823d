"""What an engine is asked about networks: each run of several nodes has one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_train.exceptions import InfrastructureFailure
from airflow_train.targets.docker import plan
from airflow_train.targets.docker.connection import Connection
from airflow_train.targets.docker.errors import Gone, Refusal, Taken, sentences


class NetworkCalls(Connection):
    """Calls about networks."""

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a network, unless it is there.

        :raises Refusal: somebody else's network has that name.
        """
        made = ""
        try:
            with sentences(f"creating the network {name}", self.where):
                answer = self.client().create_network(
                    name, driver="bridge", labels=dict(labels), check_duplicate=True
                )
                made = str(answer["Id"])
        except Taken:
            pass
        except InfrastructureFailure as error:
            if "address pool" not in str(error):
                raise
            raise Refusal(
                f"the Docker engine at {self.where} has no addresses left for another network; remove unused ones by "
                "`docker network prune`, or name a network that is there by the option network of the compute target",
                "infrastructure",
            ) from error
        found = self._named(name)
        if any((one["Labels"] or {}).get(plan.RUN_LABEL) != labels[plan.RUN_LABEL] for one in found):
            raise Refusal(
                f"the name {name} is taken on the Docker engine at {self.where} by a network that isn't this run's; "
                f"remove it: docker network rm {name}"
            )
        if made and found and found[0]["Id"] != made:
            self.remove_network(made)

    def remove_doubles(self, name: str) -> None:
        """Leave only one network of a name, as whoever makes one sees to, too, a little later.

        Engines look for the name before they take it, not at once: of two that were made the older one stays.
        """
        for one in self._named(name)[1:]:
            self.remove_network(str(one["Id"]))

    def _named(self, name: str) -> list[dict[str, Any]]:
        """All networks of a name, the oldest first."""
        found = [one for one in self._networks({"name": name}) if one["Name"] == name]
        return sorted(found, key=lambda one: (one["Created"], one["Id"]))

    def remove_network(self, name: str) -> None:
        """Remove a network by name or number; one that is gone is fine.

        :raises InfrastructureFailure: something is connected to it.
        """
        try:
            with sentences(f"removing the network {name}", self.where):
                self.client().remove_network(name)
        except Gone:
            return

    def remove_networks(self, run_id: str) -> None:
        """Remove whatever networks a run has."""
        for one in self._networks({"label": f"{plan.RUN_LABEL}={run_id}"}):
            self.remove_network(str(one["Id"]))

    def networks(self) -> list[dict[str, Any]]:
        """Every network of ours."""
        return self._networks({"label": plan.LABEL})

    def _networks(self, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        with sentences("listing networks", self.where):
            found: list[dict[str, Any]] = self.client().networks(filters=dict(filters))
            return found
