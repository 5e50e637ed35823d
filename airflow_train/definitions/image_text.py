"""Names of images and texts of Dockerfiles, which hold no login: both are stored, shown and put in labels."""

from __future__ import annotations

import re
from typing import Any

from airflow_train.definitions.kinds import Text
from airflow_train.definitions.report import At
from airflow_train.definitions.requirement_lines import KEY_IN_QUERY

_DOMAIN = r"([A-Za-z0-9.\-]+|\[[0-9a-fA-F:]+\])(:[0-9]+)?/"
#: https://github.com/distribution/reference, without its rules for separators: the engine knows those
_TAG, _DIGEST = r":[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}", r"@[A-Za-z0-9_+.\-]+:[0-9a-fA-F]{32,}"
_IMAGE = rf"({_DOMAIN})?[a-z0-9][a-z0-9._/\-]*({_TAG})?({_DIGEST})?"
#: With a value in the place of the login; a variable there shows nothing.
_LOGIN = re.compile(r"https?://[^/\s$]*@|://[^/\s@$]*:[^/\s$]*@")


def login_in(dockerfile: str) -> int | None:
    """The first line of a Dockerfile, from 1, that holds the login of an address."""
    found = _LOGIN.search(dockerfile) or KEY_IN_QUERY.search(dockerfile)
    return None if found is None else dockerfile.count("\n", 0, found.start()) + 1


class ImageName(Text):
    """The name of an image, as `docker pull` takes it."""

    def __init__(self) -> None:
        super().__init__(
            pattern=_IMAGE,
            allowed="the name of an image as text",
            mend="write it as docker pull takes it, name:tag",
        )

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, str) and ("://" in value or "@" in value) and not self.fits(value):
            return at.say(
                f"{at} (not shown) is an address or holds a login but must be the name of an image",
                "write registry.example.com/name:tag, and the login beside it under its registry",
            )
        return super().read(value, at)


class DockerfileText(Text):
    """The text of a Dockerfile."""

    def read(self, value: Any, at: At) -> Any:
        read = super().read(value, at)
        line = None if read is None else login_in(read)
        if line is None:
            return read
        return at.say(
            f"{at} (not shown) holds the login of an address in line {line}, which definitions never do",
            "use an image that has the configuration of pip or apt for it",
        )
