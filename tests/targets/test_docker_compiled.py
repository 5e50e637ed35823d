"""The runtime is compiled once for an image whose Python is another than the submitter's, and never by a run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_train import targets
from airflow_train.targets import bundle
from airflow_train.targets.docker import compiled, helpers, plan
from airflow_train.targets.docker.engine import Engine
from tests.runtime.crowd import IMAGES
from tests.targets import strikes
from tests.targets.lab import DOCKER, Lab, docker

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]

TWO: Mapping[str, Any] = {"distribution": {"type": "pytorch"}, "node_count": 2}
#: Says whether the byte code is this Python's.
OWN = f"""
import importlib.util, zipfile
with zipfile.ZipFile("{plan.RUNTIME}") as runtime:
    print(runtime.read("airflow_train/runtime/node.pyc")[:4] == importlib.util.MAGIC_NUMBER)
"""


@pytest.fixture
def other_python(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The same with an image of a Python that isn't the submitter's, seen for the first time."""
    if not docker("image", "ls", "-q", IMAGES[5]):
        pytest.skip(f"no image {IMAGES[5]}; bash .ci/images makes it")
    lab.target = {**DOCKER, "options": {"image": IMAGES[5]}}
    monkeypatch.setattr(compiled, "_known", {})
    return lab


def said(lab: Lab, run_id: str) -> list[list[str]]:
    """By both ranks of a run that ended well, of which the engine has nothing left."""
    view = lab.wait(run_id)
    assert view.status == "Completed", view.record.verdict
    assert lab.nothing_left(run_id)
    return [lab.lines(run_id, rank) for rank in range(2)]


def test_the_byte_code_is_the_images_own_and_kept(other_python: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(other_python, other_python.start(OWN, **TWO)) == [["True"]] * 2
    monkeypatch.setattr(compiled, "_known", {})
    monkeypatch.setattr(compiled, "_said", None)  # isn't called

    assert said(other_python, other_python.start(OWN, **TWO)) == [["True"]] * 2


@pytest.mark.parametrize("call", ["last_words", "wait"])
def test_a_submitter_killed_while_it_compiles_is_replaced(other_python: Lab, call: str) -> None:
    spec = other_python.spec(OWN, **TWO)
    other_python.store.create(spec)

    assert strikes.worker("submit", other_python.store.uri, spec.run_id, call, "after") == -signal.SIGKILL
    assert helpers.names(spec.run_id)[0] in docker("ps", "-a", "--format", "{{.Names}}")
    targets.get(spec.target).submit(spec, other_python.store)
    assert said(other_python, spec.run_id) == [["False"]] * 2


def test_a_slow_compiler_fills_nothing_that_another_submitter_has_started(
    other_python: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = other_python.spec("mark('ran')", **TWO)
    other_python.store.create(spec)
    monkeypatch.setattr("airflow_train.targets.docker.target._POLITE", 0.0)
    wait, put = Engine.wait, Engine.put
    compiles, started = threading.Event(), threading.Event()
    filled: list[bool] = []

    def slow(self: Engine, name: str, timeout: float) -> None:
        wait(self, name, timeout)
        if name == helpers.names(spec.run_id)[0]:
            compiles.set()
            started.wait(30)

    def recorded(self: Engine, name: str, folder: str, archive: Any) -> None:
        if folder == plan.ROOT:
            filled.append(started.is_set())
        put(self, name, folder, archive)

    monkeypatch.setattr(Engine, "wait", slow)
    monkeypatch.setattr(Engine, "put", recorded)
    first = threading.Thread(target=targets.get(spec.target).submit, args=(spec, other_python.store))
    first.start()
    assert compiles.wait(30)
    targets.get(spec.target).submit(spec, other_python.store)
    started.set()
    first.join(30)

    assert filled == [False]
    assert said(other_python, spec.run_id) == [[], []]


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"[]",
        b'{"magic": 1, "code": {}}',
        b'{"magic": "b2s=", "code": {"a": "no base64!"}}',
        b"[" * 200_000,
    ],
)
def test_an_image_that_compiles_nothing_gets_what_there_is(
    other_python: Lab, monkeypatch: pytest.MonkeyPatch, words: bytes
) -> None:
    spec = other_python.spec("", **TWO)
    engine = Engine(spec.target["options"])
    made = targets.get(spec.target).plan(spec, other_python.store)
    monkeypatch.setattr(Engine, "last_words", lambda *_: words)

    image = str((engine.find_image(IMAGES[5]) or {})["Id"])
    found = compiled.runtime(engine, engine.identity(), made, image, other_python.store)
    assert found == bundle.contents()[1]
    assert other_python.nothing_left(spec.run_id)
