"""What is to be built for a run, and the key by which it is built once. Pure.

Name and version of an environment aren't in the key, nor is the login of its registry: what is the same inside is built
once, whatever it is called and whoever asks.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from airflow_train.environments import frameworks
from airflow_train.exceptions import DefinitionError

#: Part of every key. A change of what builders make of the same recipe raises it, so that everything is built anew.
FORMAT = 1
#: Version of Python in an image that is built where none is wanted and no image is named.
USUAL_PYTHON = "3.12"
#: What `runtime/` is written for.
OLDEST_PYTHON = (3, 8)

_PYTHON = re.compile(r"python(?:\s*==?\s*|\s+)(\d+(?:\.\d+){0,2})(?:\.\*)?")
_PIP = re.compile(r"pip(?:\s*==\s*(\d[\w.]*))?")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is built."""

    #: Wanted version, such as `3.11`; None for what is there.
    python: str | None = None
    #: Lines of a requirements file, options among them, in the order and the words of their author.
    pip: tuple[str, ...] = ()
    #: Packages for conda, without Python where `python` says it. Empty where conda isn't needed.
    conda: tuple[str, ...] = ()
    conda_channels: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    #: With the address of its registry. None for a virtual environment and beside a Dockerfile.
    base_image: str | None = None
    #: Its text.
    dockerfile: str | None = None
    #: Id of the snapshot of a build context, whose files lie in the run store.
    context: str | None = None
    platform: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data, only of what is asked for."""
        fields = {
            name: list(said) if isinstance(said, tuple) else said for name, said in asdict(self).items()
        }
        return {name: said for name, said in fields.items() if said}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """The recipe that `to_json` described."""
        fields: dict[str, Any] = {
            name: tuple(said) if isinstance(said, list) else said for name, said in data.items()
        }
        return cls(**fields)

    @property
    def hashed(self) -> bool:
        """Whether packages for pip come with hashes: then whatever they need must have one, too."""
        return any(" --hash" in line for line in self.pip)

    @property
    def key(self) -> str:
        """16 hex digits that stand for the content."""
        text = json.dumps({"format": FORMAT, **self.to_json()}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Needed(NamedTuple):
    """What a target builds before a job can run there, and the key that it finds it by.

    The key is the recipe's, or made of it and what else decides there: the interpreter that is on a machine, say.
    """

    key: str
    recipe: Recipe


def recipe_of(job: Mapping[str, Any], default_image: str | None = None) -> Recipe | None:
    """What has to be built before a job can run; None where what is there is used as it is.

    Packages, a Dockerfile, a build context or a `framework_version` ask for something to be built, an image alone
    doesn't. Beside named packages those of a framework estimator are installed, too.

    :param job: with nothing left in its environment that has to be read from a file or the run store.
    :param default_image: image to build on where the job names none; None where nothing is built on an image.
    :raises DefinitionError: the wanted Python is too old, or the framework has no such version for any that isn't.
    """
    asked = job["environment"]
    python, conda, pip = _named(asked)
    if python is not None and _numbers(python) < OLDEST_PYTHON[: len(_numbers(python))]:
        raise DefinitionError(
            f"Python {python} is wanted, but runs need Python {'.'.join(map(str, OLDEST_PYTHON))} or later; ask for "
            "one of these."
        )
    added = frameworks.merged(job, pip, conda)
    recipe = Recipe(
        python=python or added.python,
        pip=(*pip, *added.pip),
        conda=conda,
        conda_channels=tuple(map(str, asked.get("conda_channels", ()))) if conda else (),
        apt=tuple(map(str, asked.get("apt_packages", ()))),
        dockerfile=asked.get("dockerfile"),
        context=asked.get("context"),
    )
    if not recipe.to_json():
        return None
    own = recipe.dockerfile or recipe.context
    base = None if own else image_name(asked) or default_image
    return replace(recipe, base_image=base, platform=asked.get("platform"))


def overridden(job: Mapping[str, Any]) -> tuple[str, ...]:
    """Packages of the job's framework that its author has chosen otherwise.

    :raises DefinitionError: as `recipe_of`.
    """
    _, conda, pip = _named(job["environment"])
    return frameworks.merged(job, pip, conda).overridden


def image_name(environment: Mapping[str, Any]) -> str | None:
    """The image that a job's environment names, with the address of its registry."""
    named = environment.get("image")
    address = (environment.get("registry") or {}).get("address")
    if named and address and not str(named).startswith(f"{address}/"):
        return f"{address}/{named}"
    return str(named) if named else None


def public_image(python: str | None) -> str:
    """The public image of a version of Python, to build on where no image is named anywhere."""
    return f"python:{python or USUAL_PYTHON}-slim"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _named(asked: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """Version of Python, packages for conda, lines for pip: a Python of one version and pip alone need no conda."""
    pip = tuple(map(str, asked.get("pip_packages", ())))
    packages = tuple(str(one).strip() for one in asked.get("conda_packages", ()))
    versions = [found[1] for one in packages if (found := _PYTHON.fullmatch(one))]
    if len(versions) > 1:  # two wishes: conda says what is wrong with them
        return None, packages, pip
    rest = tuple(one for one in packages if not _PYTHON.fullmatch(one))
    python = versions[0] if versions else None
    pips = [_PIP.fullmatch(one) for one in rest]
    if all(pips):
        return python, (), (*(one[0].replace(" ", "") for one in pips if one and one[1]), *pip)
    return python, rest, pip
