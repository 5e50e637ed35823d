"""Images: from a recipe to an image on an engine, which is handed in.

Packages are installed on an image in one build. An author's own Dockerfile is built as it is; where packages are to
come on top of it, in a second one, since only then its user is known. What an engine keeps of builds that were killed
carries the label of `dockerfile.py`.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Any, Protocol

from airflow_train.environments import context, dockerfile
from airflow_train.environments.failures import UNREACHABLE
from airflow_train.environments.log import redacted
from airflow_train.environments.recipe import Recipe
from airflow_train.exceptions import BuildFailed, InfrastructureFailure
from airflow_train.store.files import Files

REPOSITORY = "airflow-train/environment"
#: What asked for an image, as JSON, for people who look at it.
RECIPE_LABEL = "airflow-train.recipe"

#: A line by which a tool says that it failed: pip, apt, conda, uv and compilers.
_FAILED = re.compile(r"\s*(?:ERROR\b|E: |error\b|fatal\b|\w*Error\b|critical\b|.*: (?:fatal )?error:)")
_EXIT_CODE = re.compile(r"returned a non-zero code: (\d+)")
_KILLED = "137"
#: What pip and others say after the cause.
_AFTERWARDS = re.compile(r".*(?:\[notice\]|note: This |hint: |See above for output|exit code: \d)")
#: What an instruction of ours is about.
_OURS = re.compile(r"apt-get install|Python \S+ is wanted|conda\" install|pip install")
_NO_SPACE = "no space left on device"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST, _LONGEST_LABEL = 300, 4096


@dataclass(frozen=True)
class Order:
    """One build, as the engine's API takes it."""

    arguments: Mapping[str, str]
    labels: Mapping[str, str]
    platform: str | None
    tag: str | None


class Images(Protocol):
    """What an engine knows."""

    def find_image(self, name: str) -> Mapping[str, Any] | None:
        """What is known of an image; None when there is none."""
        ...


class Engine(Images, Protocol):
    """What an engine must do for builds."""

    def fetch(self, name: str, platform: str | None) -> Mapping[str, Any]:
        """What is known of an image, pulled where it is missing."""
        ...

    def build(self, content: IO[bytes], order: Order) -> AbstractContextManager[Iterator[Mapping[str, Any]]]:
        """Send a build context; what the engine says while it builds. Leaving the block ends the build."""
        ...


def tag(recipe: Recipe) -> str:
    """Name of the image of a recipe."""
    return f"{REPOSITORY}:{recipe.key}"


def described(recipe: Recipe) -> dict[str, Any]:
    """What a dry run shows of an image that is to be built."""
    shown: dict[str, Any] = {"key": recipe.key, "image": tag(recipe), "recipe": recipe.to_json()}
    if dockerfile.installs(recipe):
        shown["dockerfile"] = dockerfile.packages(recipe, recipe.base_image or "BASE")
    return shown


def labels(recipe: Recipe) -> dict[str, str]:
    """Labels of the image of a recipe; they travel in an address, so a long recipe isn't among them."""
    said = json.dumps(recipe.to_json(), sort_keys=True)
    about = {RECIPE_LABEL: said} if len(said) <= _LONGEST_LABEL else {}
    return {dockerfile.LABEL: recipe.key, **about}


def find(recipe: Recipe, engine: Images) -> Mapping[str, Any] | None:
    """The image of a recipe, if the engine has it; a stranger of the same name doesn't count."""
    found = engine.find_image(tag(recipe))
    given = ((found or {}).get("Config") or {}).get("Labels") or {}
    return found if given.get(dockerfile.LABEL) == recipe.key else None


def build(recipe: Recipe, engine: Engine, files: Files, log: Callable[[str], object]) -> Mapping[str, Any]:
    """Build the image of a recipe, and tag it when all of it is there.

    :param files: where build contexts lie.
    :param log: told every line that the engine says.
    :raises BuildFailed: it can't be built as it is written; half a sentence with the line that failed.
    :raises InfrastructureFailure: the engine doesn't answer, or has no space left.
    """
    base, on_top = recipe.base_image, dockerfile.installs(recipe)
    if recipe.dockerfile is not None:
        for name in dockerfile.bases(recipe.dockerfile):
            engine.fetch(name, recipe.platform)
        with tempfile.TemporaryFile() as content:
            context.of_folder(dockerfile.marked(recipe.dockerfile), recipe.context, files, content)
            base = _run(content, engine, _order(recipe, {}, last=not on_top), log)
    else:
        engine.fetch(str(base), recipe.platform)
    if on_top:
        config = (engine.find_image(str(base)) or {}).get("Config") or {}
        with tempfile.TemporaryFile() as content:
            context.of_packages(recipe, dockerfile.packages(recipe, str(base)), content)
            arguments = {dockerfile.USER: str(config.get("User") or "root")}
            _run(content, engine, _order(recipe, arguments, last=True), log)
    found = find(recipe, engine)
    if found is None:
        raise InfrastructureFailure(f"the image {tag(recipe)} was removed as soon as it was built")
    return found


def _order(recipe: Recipe, arguments: Mapping[str, str], *, last: bool) -> Order:
    return Order(arguments, labels(recipe) if last else {}, recipe.platform, tag(recipe) if last else None)


def _run(content: IO[bytes], engine: Engine, order: Order, log: Callable[[str], object]) -> str:
    """Id of the image that the engine built."""
    content.seek(0)
    failed, built = "", ""
    said = _Said(log)
    with engine.build(content, order) as events:
        for event in events:
            said.add(str(event.get("stream") or ""))
            built = str((event.get("aux") or {}).get("ID") or built)
            failed = redacted(str(event.get("error") or failed))
    said.add("\n")
    if not failed and built:
        return built
    log(failed)
    line = said.failing_line or failed
    if _NO_SPACE in f"{failed} {line}".lower():
        raise InfrastructureFailure(
            f"the Docker engine has no space left for the environment's image ({line}); free some, for example by "
            "`airflow-train gc`"
        )
    if said.says(UNREACHABLE):
        raise InfrastructureFailure(
            f"the environment's image can't be built: something can't be reached ({said.says(UNREACHABLE)})"
        )
    found = _EXIT_CODE.search(failed)
    if found and found[1] == _KILLED:
        raise InfrastructureFailure(
            f"the environment's image can't be built: {said.step} was killed from outside, most likely for memory"
        )
    code = f", exit code {found[1]}" if found else ""
    raise BuildFailed(
        f"the environment's image can't be built: {line} ({said.step}{code}); system_logs/build.log tells the rest"
    )


class _Said:
    """What an engine says while it builds, in lines."""

    def __init__(self, log: Callable[[str], object]) -> None:
        self._log, self._rest = log, ""
        self.step = "before the first step"
        self._lines: list[str] = []

    def add(self, text: str) -> None:
        """A piece of a line, or several."""
        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            line = redacted(_COLOURS.sub("", line)).rstrip("\r ")
            if line.startswith("Step "):
                self.step, self._lines = _short(line), []
            elif line.strip() and not line.startswith((" --->", "Removing intermediate container")):
                self._lines.append(line.rpartition("\r")[2].strip())
            if line:
                self._log(line)

    @property
    def failing_line(self) -> str:
        """The line of the last step that says why it failed; empty when it said nothing."""
        telling = [line for line in self._lines if not _AFTERWARDS.match(line)]
        errors = [line for line in telling if _FAILED.match(line)]
        last = (errors or telling or self._lines)[-1:]
        return last[0][:_LONGEST].removeprefix("ERROR: ") if last else ""

    def says(self, words: re.Pattern[str]) -> str:
        """The last line of the last step that holds these words; empty when none does."""
        return next(
            (
                line.removeprefix("WARNING: ")[:_LONGEST]
                for line in reversed(self._lines)
                if words.search(line)
            ),
            "",
        )


def _short(line: str) -> str:
    """A step, as the engine announces it, in a few words."""
    number, _, instruction = line.partition(" : ")
    words = found[0].replace('"', "") if (found := _OURS.search(instruction)) else instruction
    return f"{number[0].lower()}{number[1:]}, {words[:60]}{'…' if len(words) > 60 else ''}"
