"""Logins at registries: whose login goes to which registry. They are used for pulls and kept nowhere."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_train.exceptions import ConfigurationError
from airflow_train.targets.base import REGISTRY_PASSWORD, REGISTRY_USERNAME


@dataclass(frozen=True)
class Login:
    """Who we are at a registry."""

    username: str
    password: str = field(repr=False)
    #: Address of the registry; empty for that of the image, whatever it is.
    registry: str
    #: Where the login comes from, for people.
    source: str

    def fits(self, image: str) -> bool:
        """Does it belong to the registry that an image comes from? No other one gets to know it."""
        from docker import auth

        if not self.registry:
            return True
        ours = auth.resolve_index_name(auth.convert_to_hostname(self.registry))
        return bool(ours == auth.resolve_repository_name(image)[0])


def of_run(job: Mapping[str, Any], secrets: Mapping[str, str]) -> tuple[dict[str, str], tuple[Login, ...]]:
    """A run's secrets, parted: variables of its script, and the login that its definition names.

    :param secrets: as `Target.submit` gets them.
    """
    variables = {
        name: value for name, value in secrets.items() if name not in (REGISTRY_USERNAME, REGISTRY_PASSWORD)
    }
    if REGISTRY_PASSWORD not in secrets:
        return variables, ()
    registry = job["environment"]["registry"]
    username = secrets.get(REGISTRY_USERNAME) or str(registry["username"])
    return variables, (
        Login(
            username, secrets[REGISTRY_PASSWORD], str(registry.get("address") or ""), "image_registry_details"
        ),
    )


def choose(client: Any, image: str, logins: tuple[Login, ...]) -> tuple[Mapping[str, Any], str]:
    """What the engine needs to pull an image, and where that comes from in words; empty for nobody.

    The first of `logins` that fits, else what the docker command keeps: `auths`, `credHelpers`, `credsStore`.

    :raises ConfigurationError: a credential helper of the docker command fails.
    """
    from docker import auth, errors

    registry = auth.resolve_repository_name(image)[0]
    for login in logins:
        if login.fits(image):
            return {
                "username": login.username,
                "password": login.password,
                "serveraddress": registry,
            }, login.source
    try:
        client.reload_config()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a helper that isn't there, which the error says, too
            found = auth.resolve_authconfig(client._auth_configs, registry)  # noqa: SLF001 - as its own pull does
    except errors.DockerException as error:
        raise ConfigurationError(
            f"the login for {registry} can't be had from the credential helper that the docker command's config.json "
            f"names ({str(error).strip().rstrip('.')}); correct that file, or `docker login` again."
        ) from error
    return (found, "the docker command's config.json") if found else ({}, "")
