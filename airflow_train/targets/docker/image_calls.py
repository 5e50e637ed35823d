"""Calls to an engine that are about images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import IO, Any

from airflow_train.exceptions import BuildFailed, InfrastructureFailure
from airflow_train.targets.docker.connection import Connection
from airflow_train.targets.docker.errors import Gone, Taken, sentences

#: Stands in for an image that is gone, where nothing of it is to run.
_EMPTY = "airflow-train/empty"


class ImageCalls(Connection):
    """One engine and what it can be asked for about images."""

    def id(self) -> str:
        """What tells this engine from all others."""
        with sentences("asking who it is", self.where):
            return str(self.client().info()["ID"])

    def find_image(self, name: str) -> dict[str, Any] | None:
        """What the engine knows of an image; None when it has none of that name."""
        try:
            with sentences(f"looking for the image {name}", self.where):
                found: dict[str, Any] = self.client().inspect_image(name)
                return found
        except Gone:
            return None

    def has_image(self, name: str) -> bool:
        """Is it there?"""
        return self.find_image(name) is not None

    def empty_image(self) -> str:
        """Name of an image with nothing in it."""
        if not self.has_image(_EMPTY):
            with sentences("making an empty image", self.where):
                self.client().import_image_from_data(b"\0" * 1024, repository=_EMPTY)
        return _EMPTY

    def pull(self, name: str, platform: str | None, login: Mapping[str, Any]) -> None:
        """Have the engine fetch an image from its registry.

        :param login: as `login.choose` gives it; empty for nobody.
        :raises InfrastructureFailure: with what the engine says.
        """
        repository, _, tag = name.rpartition(":") if ":" in name.rsplit("/", 1)[-1] else (name, "", "latest")
        repository, tag = (name, "") if "@" in name else (repository, tag)
        with sentences(f"pulling the image {name}", self.where):
            lines = self.client(600).pull(
                repository,
                tag=tag or None,
                platform=platform,
                auth_config=dict(login),
                stream=True,
                decode=True,
            )
            for line in lines:
                if "error" in line:
                    raise InfrastructureFailure(str(line["error"]))

    @contextmanager
    def building(
        self, content: IO[bytes], parameters: Mapping[str, Any]
    ) -> Iterator[Iterator[dict[str, Any]]]:
        """Send a build context; what the engine says. Leaving the block ends the build, and the engine cleans up.

        :param parameters: as the engine's API takes them, objects as they are.
        :raises BuildFailed: the Dockerfile is none.
        """
        from docker.types.daemon import CancellableStream

        client = self.client(fresh=True)
        try:
            proxies = client._proxy_configs.get_environment()  # noqa: SLF001 - as its own call does, which can't be ended
            arguments = {**(proxies or {}), **parameters.get("buildargs", {})}
            given = {**parameters, "buildargs": arguments}
            asked = {
                name: json.dumps(value) if isinstance(value, dict) else value
                for name, value in given.items()
                if value not in (None, {})
            }
            with sentences("building an image", self.where):
                answer = client._post(  # noqa: SLF001
                    client._url("/build"),  # noqa: SLF001
                    data=content,
                    params=asked,
                    headers={"Content-Type": "application/x-tar"},
                    stream=True,
                    timeout=None,
                )
                if answer.status_code == 400:
                    raise BuildFailed(f"the environment's image can't be built: {answer.json()['message']}")
                client._raise_for_status(answer)  # noqa: SLF001
            said = client._stream_helper(answer, decode=True)  # noqa: SLF001
            with closing(CancellableStream(said, answer)) as stream:
                yield stream
        finally:
            client.close()

    def tag(self, image: str, name: str) -> None:
        """Name an image; the engine remembers when that was done last."""
        repository, _, tag = name.rpartition(":")
        with sentences(f"naming the image {name}", self.where):
            self.client().tag(image, repository, tag)

    def built_images(self, label: str) -> list[dict[str, Any]]:
        """Every image with a label that has a name, or that nothing else is made of."""
        with sentences("listing images", self.where):
            found: list[dict[str, Any]] = self.client().images(filters={"label": label})
            return found

    def last_step(self, image: str) -> str:
        """The instruction that an image was finished by; empty when it is gone."""
        try:
            with sentences(f"looking for the image {image}", self.where):
                return str(self.client().history(image)[0]["CreatedBy"])
        except Gone:
            return ""

    def build_steps(self, label: str) -> list[dict[str, Any]]:
        """Every container with a label, running or not."""
        with sentences("listing containers", self.where):
            found: list[dict[str, Any]] = self.client().containers(all=True, filters={"label": label})
            return found

    def remove_image(self, name: str) -> bool:
        """Remove a name or an image; one that is gone is fine. False when a container uses it."""
        try:
            with sentences(f"removing the image {name}", self.where):
                self.client().remove_image(name)
        except Gone:
            return True
        except Taken:
            return False
        return True
