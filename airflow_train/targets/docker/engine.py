"""Every call that is made to an engine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any
from urllib.parse import quote

from airflow_train.exceptions import InfrastructureFailure
from airflow_train.targets.docker import kept, plan
from airflow_train.targets.docker.connection import PATIENCE
from airflow_train.targets.docker.errors import EngineUnreachable, Gone, Refusal, Taken, sentences
from airflow_train.targets.docker.image_calls import ImageCalls
from airflow_train.targets.docker.network_calls import NetworkCalls
from airflow_train.targets.docker.stream import Stream

#: Seconds that somebody else's removal of a container may take.
_REMOVAL = 30.0
#: Seconds without an event after which a stream of them breaks: a connection that was lost on the way says nothing.
_SILENCE = 60.0


class Engine(ImageCalls, NetworkCalls):
    """One engine and what it can be asked for."""

    # ------------------------------------------------------------------ containers

    def create(self, made: plan.DockerPlan) -> bool:
        """Create the container with its volume; False when it is there already.

        :raises Refusal: somebody else's container has that name.
        """
        with sentences("creating the container", self.where):
            try:
                self.client().create_container_from_config(
                    dict(made.configuration), made.container, made.platform
                )
                return True
            except _api_error() as error:
                if error.response is None or error.response.status_code != 409:
                    raise
        found = self.inspect(made.container)
        if found is None:
            return self.create(made)  # removed meanwhile
        labels = found["Config"].get("Labels") or {}
        if labels.get(plan.RUN_LABEL) != made.labels[plan.RUN_LABEL]:
            raise Refusal(
                f"the name {made.container} is taken on the Docker engine at {self.where} by a container that isn't "
                f"this run's; remove it: docker rm -f {made.container}"
            )
        return False

    def inspect(self, name: str) -> dict[str, Any] | None:
        """A container as the engine describes it; None when there is none."""
        try:
            with sentences(f"looking at the container {name}", self.where):
                found: dict[str, Any] = self.client().inspect_container(name)
                return found
        except Gone:
            return None

    def start(self, name: str) -> None:
        """Start a container; one that runs is fine."""
        with sentences(f"starting the container {name}", self.where):
            self.client().start(name)

    def unpause(self, name: str) -> None:
        """Let a paused container go on; one that isn't paused is fine."""
        try:
            with sentences(f"unpausing the container {name}", self.where):
                self.client().unpause(name)
        except InfrastructureFailure as error:
            if "is not paused" not in str(error):
                raise

    def kill(self, name: str) -> None:
        """KILL everything in a container; one that doesn't run is fine."""
        try:
            with sentences(f"killing the container {name}", self.where):
                self.client().kill(name)
        except (Gone, Taken):
            return

    def wait(self, name: str, timeout: float) -> None:
        """Wait until a container doesn't run.

        :raises EngineUnreachable: it took longer than `timeout` seconds, or nobody answers.
        """
        with sentences(f"waiting for the container {name}", self.where):
            self.client().wait(name, timeout=timeout)

    def remove(self, name: str) -> None:
        """Remove a container, running or not; one that is gone is fine.

        :raises InfrastructureFailure: it is still there.
        """
        deadline = time.monotonic() + _REMOVAL
        while True:
            try:
                with sentences(f"removing the container {name}", self.where):
                    self.client().remove_container(name, v=True, force=True)
                return
            except Gone:
                return
            except Taken:  # somebody else is removing it: its volume isn't free yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def remove_volume(self, name: str) -> None:
        """Remove a volume; one that is gone is fine.

        :raises InfrastructureFailure: it is in use.
        """
        try:
            with sentences(f"removing the volume {name}", self.where):
                self.client().remove_volume(name, force=True)
        except Gone:
            return

    def has_volume(self, name: str) -> bool:
        """Is there a volume of that name?"""
        try:
            with sentences(f"looking at the volume {name}", self.where):
                self.client().inspect_volume(name)
                return True
        except Gone:
            return False

    def output(self, name: str) -> str:
        """The last lines of what a container itself has said."""
        try:
            with sentences(f"reading the output of {name}", self.where):
                said: bytes = self.client().logs(name, tail=20)
                return said.decode("utf-8", "replace").strip()
        except Gone:
            return ""

    def last_words(self, name: str) -> bytes:
        """What a container has said on its standard output, as far as the engine keeps it; empty when it doesn't."""
        try:
            with sentences(f"reading the output of {name}", self.where):
                client = self.client()
                place = client._url("/containers/{0}/logs", name)  # noqa: SLF001 - its own call asks for more first
                answer = client.get(place, params={"stdout": 1}, timeout=PATIENCE)
                stream, terminal = False, False
                found: bytes = client._get_result_tty(stream, answer, terminal)  # noqa: SLF001
                return found
        except EngineUnreachable:
            raise
        except InfrastructureFailure:  # it keeps none
            return b""

    # ------------------------------------------------------------------ files

    def put(self, name: str, folder: str, archive: bytes | Iterable[bytes]) -> None:
        """Unpack a tar in a folder of a container."""
        with sentences(f"copying into the container {name}", self.where):
            self.client().put_archive(name, folder, archive)

    def stat(self, name: str, path: str) -> dict[str, Any] | None:
        """What lies at a path of a container: `name`, `size`, `mode`, `mtime`, `linkTarget`; None when nothing does."""
        client = self.client()
        with sentences(f"looking into the container {name}", self.where):
            quick = self._asked(client, name, path)
            if quick is not None and quick.status in (200, 404):
                status, headers = quick.status, quick.headers
            else:
                answer = client.head(self._place(client, name), params={"path": path})
                status, headers = answer.status_code, answer.headers
                if status != 404:
                    client._raise_for_status(answer)  # noqa: SLF001 - as its own calls do
        if status == 404:
            return None
        from docker.utils import decode_json_header

        found: dict[str, Any] = decode_json_header(headers["x-docker-container-path-stat"])
        return found

    def _asked(self, client: Any, name: str, path: str) -> HTTPResponse | None:
        """What an engine of this machine says of a path, where it is known by its socket."""
        socket = self.place.host.removeprefix("unix://")
        if socket == self.place.host:
            return None
        place = f"/v{client.api_version}/containers/{name}/archive?path={quote(path, safe='')}"
        return kept.head(socket, place, PATIENCE)

    @staticmethod
    def _place(client: Any, name: str) -> str:
        return str(client._url("/containers/{0}/archive", name))  # noqa: SLF001 - the package has no call for HEAD

    def get(self, name: str, path: str) -> Stream:
        """What lies at a path of a container, as a stream of a tar; to be closed.

        :raises Gone: there is no such container or path.
        """
        client = self.client()
        with sentences(f"copying from the container {name}", self.where):
            answer = client.get(
                self._place(client, name),
                params={"path": path},
                headers={
                    "Accept-Encoding": "identity"
                },  # or the engine compresses, ten times slower than it reads
                stream=True,
                timeout=PATIENCE,
            )
            client._raise_for_status(answer)  # noqa: SLF001 - its own call gives no way to close this
        return Stream(answer, self.where)

    # ------------------------------------------------------------------ all of ours

    def containers(self) -> list[dict[str, Any]]:
        """Every container of ours, running or not."""
        with sentences("listing containers", self.where):
            found: list[dict[str, Any]] = self.client().containers(all=True, filters={"label": plan.LABEL})
            return found

    def volumes(self) -> list[dict[str, Any]]:
        """Every volume of ours."""
        with sentences("listing volumes", self.where):
            found: list[dict[str, Any]] = (
                self.client().volumes(filters={"label": plan.LABEL})["Volumes"] or []
            )
            return found

    @contextmanager
    def events(self) -> Iterator[Iterator[dict[str, Any]]]:
        """A stream of what happens to containers of ours, from now on; breaks when it is silent."""
        from docker.utils import convert_filters

        client = self.client(fresh=True)
        try:
            with sentences("listening to its events", self.where):
                filters = convert_filters({"label": plan.LABEL, "type": "container"})
                # its own call listens for ever
                place = client._url("/events")  # noqa: SLF001
                answer = client.get(place, params={"filters": filters}, stream=True, timeout=_SILENCE)
                client._raise_for_status(answer)  # noqa: SLF001
            yield client._stream_helper(answer, decode=True)  # noqa: SLF001
        finally:
            client.close()


def _api_error() -> type[Any]:
    import docker.errors

    return docker.errors.APIError
