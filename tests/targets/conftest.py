"""A laboratory per test and target: the same rules are put to every target.

A rule that a target can't keep is marked `deviates(target, why)`; one that is about a single target, `only(target)`.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_train.targets import mpi
from airflow_train.targets.docker import observe as watching
from tests.conftest import python_with_mpi
from tests.runtime.crowd import IMAGES
from tests.targets import private_engine
from tests.targets.lab import DOCKER, LOCAL, Lab, docker
from tests.targets.private_engine import PrivateEngine

TARGETS = {
    "local": pytest.param(LOCAL, id="local"),
    "docker": pytest.param(DOCKER, id="docker", marks=pytest.mark.docker),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put a rule to every target that it is about."""
    if "lab" not in metafunc.fixturenames:
        return
    only = {mark.args[0] for mark in metafunc.definition.iter_markers("only")}
    deviates = {mark.args[0] for mark in metafunc.definition.iter_markers("deviates")}
    wanted = [param for name, param in TARGETS.items() if name not in deviates and (not only or name in only)]
    metafunc.parametrize("lab", wanted, indirect=True)


@pytest.fixture
def lab(request: pytest.FixtureRequest, store_uri: str, tmp_path: Path) -> Iterator[Lab]:
    """Runs on one target, in a store at an odd path."""
    if request.param["type"] == "docker":
        request.getfixturevalue("docker_engine")
    made = Lab(store_uri, tmp_path, request.param)
    yield made
    made.close()
    if request.param["type"] == "docker":
        with warnings.catch_warnings():
            # the package docker leaves sockets to the garbage collector where an engine goes away
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@pytest.fixture(scope="session")
def private_engine_of_all(docker_engine: str) -> Iterator[PrivateEngine]:
    """One for the tests of this process, with the image of the one that all share."""
    del docker_engine
    if why := private_engine.missing():
        pytest.skip(why)
    with PrivateEngine() as made:
        yield made


@pytest.fixture
def own_engine(
    private_engine_of_all: PrivateEngine, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PrivateEngine]:
    """An engine that may be killed, which DOCKER_HOST names for the test's runs. Mark the test `docker`."""
    del lab  # whose runs are ended while this engine is still there
    made = private_engine_of_all
    monkeypatch.setenv("DOCKER_HOST", made.address)
    yield made
    if made.live_restore:
        made.live_restore = False
        made.crash()
    made.start()
    for watch in list(watching._watches.values()):
        watch.end()


@pytest.fixture(params=[4, 5], ids=lambda major: f"openmpi{major}")
def job(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Two nodes with two ranks each, by that major version of Open MPI."""
    found = {"distribution": {"type": "mpi"}, "node_count": 2, "process_count_per_node": 2}
    lab: Lab = request.getfixturevalue("lab")
    if lab.target["type"] == "local":
        return {**found, "interpreter_path": python_with_mpi(request.param)}
    if not docker("image", "ls", "-q", IMAGES[request.param]):
        pytest.skip(f"no image {IMAGES[request.param]}; bash .ci/images makes it")
    lab.target = {**DOCKER, "options": {"image": IMAGES[request.param]}}
    return found


@pytest.fixture
def stand_in(tmp_path: Path, job: dict[str, Any]) -> Callable[[str], None]:
    """Puts a script beside the interpreter in place of the real mpirun."""
    python = str(job["interpreter_path"])
    real = mpi.find(python)
    assert real is not None

    def put(body: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, text in (("mpirun", f"mpirun={real.path}\n{body}"), ("python", f'exec {python} "$@"')):
            (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            (folder / name).chmod(0o755)
        job["interpreter_path"] = str(folder / "python")

    return put
