"""A run's image on its engine: built there once for everybody who asks, found again afterwards, forgotten in the end.

The engine itself remembers when an image was last used: every run names it anew. Whatever the engine keeps of a build
that was killed has the label of `environments/dockerfile.py`.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Any

from airflow_train.environments import image as images
from airflow_train.environments.context import DOCKERFILE
from airflow_train.environments.log import BuildLog
from airflow_train.environments.once import once
from airflow_train.environments.recipe import Recipe, public_image, recipe_of
from airflow_train.exceptions import BuildFailed
from airflow_train.runs.spec import RunSpec
from airflow_train.runs.times import limit
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import EngineUnreachable, Refusal, sentences

#: Seconds between two looks whether the build is still wanted, and of silence after which the engine is asked for life.
_LOOK, _SILENCE = 0.5, 60.0


class _EngineAway(Exception):
    """The engine went away from a build; whoever waits for it tries by itself."""


class NotWanted(Exception):
    """The run was cancelled, or given up, while its image was being built."""


def recipe_for(job: Mapping[str, Any], options: Mapping[str, Any]) -> Recipe | None:
    """What has to be built for a job; None where an image is used as it is.

    :param options: the target's.
    """
    recipe = recipe_of(job, str(options.get("image") or "") or None)
    if recipe is None or recipe.base_image or recipe.dockerfile is not None:
        return recipe
    return replace(recipe, base_image=public_image(recipe.python))


def ready(
    recipe: Recipe,
    spec: RunSpec,
    store: RunStore,
    engine: Engine,
    fetch: Callable[[str, str | None], Mapping[str, Any]],
) -> Mapping[str, Any]:
    """The image of a recipe as the engine describes it, built where it is missing.

    :param spec: for whom; its run gets the log.
    :param fetch: what the engine knows of an image to build on, pulled where it is missing.
    :raises Refusal: it can't be built, or not in the time that there is.
    :raises NotWanted: the run was cancelled meanwhile.
    """
    found = images.find(recipe, engine) or _built(recipe, spec, store, engine, fetch)
    engine.tag(str(found["Id"]), images.tag(recipe))
    return found


def _built(
    recipe: Recipe,
    spec: RunSpec,
    store: RunStore,
    engine: Engine,
    fetch: Callable[[str, str | None], Mapping[str, Any]],
) -> Mapping[str, Any]:
    run_id, began, longest = spec.run_id, time.monotonic(), spec.limits.get("build")

    def say(reason: str) -> None:
        store.add_event(run_id, "build", reason, "target")

    def check() -> None:
        if store.cancel_asked(run_id) or store.files.exists(layout.claim(run_id)):
            raise NotWanted
        if longest is not None and time.monotonic() - began > longest:
            raise Refusal(
                f"its image wasn't built within the limit of {limit(longest)}; raise [train] build_limit if it needs "
                "longer",
                "phase_limit",
            )

    def build() -> Mapping[str, Any]:
        say(f"building the image {images.tag(recipe)}")
        try:
            with BuildLog(store.files, run_id) as log:
                return images.build(recipe, _Builder(engine, fetch, check), store.files, log.say)
        except EngineUnreachable as error:
            raise _EngineAway from error

    place = hashlib.sha256(engine.id().encode()).hexdigest()[:12]
    try:
        return once(
            store.files,
            layout.builders(place, recipe.key),
            find=lambda: images.find(recipe, engine),
            build=build,
            say=say,
            check=check,
            run_id=run_id,
        )
    except BuildFailed as error:
        raise Refusal(str(error), "build_failed") from error
    except _EngineAway as error:
        raise EngineUnreachable(str(error.__cause__)) from error


class _Builder:
    """The engine as `environments/image.py` wants it."""

    def __init__(
        self,
        engine: Engine,
        fetch: Callable[[str, str | None], Mapping[str, Any]],
        check: Callable[[], object],
    ) -> None:
        self._engine, self._check = engine, check
        self.fetch, self.find_image = fetch, engine.find_image

    @contextmanager
    def build(self, content: IO[bytes], order: images.Order) -> Iterator[Iterator[Mapping[str, Any]]]:
        """Send a build context; what the engine says while it builds. Leaving the block ends the build."""
        parameters = {
            "dockerfile": DOCKERFILE,
            "rm": True,
            "forcerm": True,
            "labels": dict(order.labels),
            "buildargs": dict(order.arguments),
            "t": order.tag,
            "platform": order.platform,
        }
        with self._engine.building(content, parameters) as stream:
            said: queue.SimpleQueue[Mapping[str, Any] | Exception | None] = queue.SimpleQueue()
            threading.Thread(target=_read, args=[stream, said], daemon=True).start()
            yield self._events(said)

    def _events(
        self, said: queue.SimpleQueue[Mapping[str, Any] | Exception | None]
    ) -> Iterator[Mapping[str, Any]]:
        heard, over = time.monotonic(), False
        while True:
            self._check()
            try:
                event = said.get(timeout=_LOOK)
            except queue.Empty:
                if time.monotonic() - heard > _SILENCE:
                    self._engine.version()
                    heard = time.monotonic()
                continue
            heard = time.monotonic()
            if event is None and not over:
                raise EngineUnreachable(f"the Docker engine at {self._engine.where} broke off a build.")
            if event is None:
                return
            if isinstance(event, Exception):
                with sentences("building an image", self._engine.where):
                    raise event
            over = over or "error" in event or "aux" in event
            yield event


def _read(
    stream: Iterator[Mapping[str, Any]], said: queue.SimpleQueue[Mapping[str, Any] | Exception | None]
) -> None:
    try:
        for event in stream:
            said.put(event)
    except Exception as error:  # noqa: BLE001 - told where it is waited for
        said.put(error)
    said.put(None)
