"""What every test gets: an environment of its own, odd paths to prove things on, and engines that CI must have.

Tests below `tests/airflow` share one Airflow home per process, made by that folder's own conftest, so the
environment is left alone there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.wheels import Index

TESTS = Path(__file__).parent
REPOSITORY = TESTS.parent
ENGINE_MARKERS = ("airflow_live", "cgroups", "docker", "kubernetes", "mpi", "nbconvert", "python38", "s3")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airflow takes 10 s to wake up, in a process and as a service, so one worker gets all tests that need it."""
    for item in items:
        if _needs_airflow_home(item):
            item.add_marker(pytest.mark.xdist_group("airflow"))
        elif item.get_closest_marker("airflow_live"):
            item.add_marker(pytest.mark.xdist_group("airflow_live"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where engines are required (CI), a test that needs one fails instead of being skipped."""
    report = yield
    engines = [name for name in ENGINE_MARKERS if item.get_closest_marker(name)]
    required = os.environ.get("AIRFLOW_TRAIN_REQUIRE_ENGINES") and not hasattr(report, "wasxfail")
    if report.skipped and engines and required:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{', '.join(engines)} is required here (AIRFLOW_TRAIN_REQUIRE_ENGINES): {reason}"
    return report


@pytest.fixture(autouse=True)
def clean_environment(request: pytest.FixtureRequest) -> None:
    """No option of whoever runs the tests reaches them, and nothing is written outside a temporary folder."""
    if _needs_airflow_home(request.node):
        return
    monkeypatch = request.getfixturevalue("monkeypatch")
    home = request.getfixturevalue("tmp_path_factory").mktemp("airflow-home")
    for name in list(os.environ):
        if name.startswith("AIRFLOW_") and name != "AIRFLOW_TRAIN_REQUIRE_ENGINES":
            monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_HOME", str(home))
    monkeypatch.setenv("AIRFLOW_TRAIN_STORE", str(home / "store"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))


@pytest.fixture
def store_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run store whose path has spaces, an umlaut and characters that URLs and globs give a meaning."""
    uri = str(tmp_path / "Läufe & store #1 [ä] 100%")
    monkeypatch.setenv("AIRFLOW_TRAIN_STORE", uri)
    return uri


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """All the packages that there are for environments, `probe` among them, and a folder of environments of its own."""
    made = Index(tmp_path / "packages")
    made.wheel("probe", program="probe-it")
    monkeypatch.setenv("AIRFLOW_TRAIN_ENVIRONMENTS", str(tmp_path / "envs ü [1]"))
    monkeypatch.setenv("UV_FIND_LINKS", str(made.folder))
    monkeypatch.setenv("UV_OFFLINE", "1")
    return made


@pytest.fixture
def nbconvert() -> str:
    """An interpreter that can run notebooks: `NBCONVERT_PYTHON`, or the one that `.ci/engines` makes."""
    made = Path("~/.cache/airflow-train/ci/nbconvert/bin/python").expanduser()
    named = os.environ.get("NBCONVERT_PYTHON") or str(made)
    if not Path(named).exists():
        pytest.skip("no interpreter with nbconvert: NBCONVERT_PYTHON names none and .ci/engines made none")
    return named


@pytest.fixture
def sources() -> Path:
    """Folder of tiny real training scripts, named after what they do."""
    return TESTS / "sources"


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def docker_engine() -> str:
    """Address of a Docker engine that has the test image. Mark the test `docker`."""
    from airflow_train.exceptions import TrainError
    from airflow_train.targets.docker.engine import Engine
    from tests.targets.lab import IMAGE

    engine = Engine({})
    try:
        if not engine.has_image(IMAGE):
            pytest.skip(f"the Docker engine at {engine.where} has no image {IMAGE}; bash .ci/docker makes it")
    except TrainError as error:
        pytest.skip(str(error))
    return engine.where


@pytest.fixture(scope="session")
def shipped(docker_engine: str) -> Callable[[str], str]:
    """Full name of an image of `docker/` as `.ci/images` builds it. Mark the test `docker`."""
    from airflow_train.targets.docker.engine import Engine

    def named(name: str) -> str:
        image = f"airflow-train-test/{name}"
        if not Engine({}).has_image(image):
            pytest.skip(
                f"the Docker engine at {docker_engine} has no image {image}; bash .ci/images makes it"
            )
        return image

    return named


@pytest.fixture(scope="session")
def python38() -> str:
    """Path of a Python 3.8 interpreter, the oldest the runtime supports. Mark the test `python38`."""
    candidates = [os.environ.get("PYTHON38") or "", *_python38_candidates()]
    for candidate in filter(None, candidates):
        if _is_python38(candidate):
            return candidate
    pytest.skip("no Python 3.8: neither PYTHON38, python3.8 on PATH, pyenv's nor uv's")


@pytest.fixture(scope="session")
def cgroups() -> None:
    """Control groups that a run's memory limit can be held by. Mark the test `cgroups`."""
    from airflow_train.runtime import cgroups

    try:
        cgroups.find("airflow-train-tests", 1 << 20)
    except cgroups.NotHeld as reason:
        pytest.skip(str(reason))


@pytest.fixture(params=[4, 5], ids=lambda major: f"openmpi{major}")
def mpi_python(request: pytest.FixtureRequest) -> str:
    """A Python with mpi4py, on a machine with mpirun of that major version of Open MPI. Mark the test `mpi`."""
    return python_with_mpi(request.param)


def python_with_mpi(major: int) -> str:
    """The same; the test is skipped where there is none."""
    import sys

    for candidate in (sys.executable, "/usr/bin/python3"):
        if _open_mpi(candidate) == major:
            return candidate
    pytest.skip(f"no Python that has mpi4py and finds mpirun of Open MPI {major}")


@cache
def _open_mpi(python: str) -> int:
    """Major version of the Open MPI that runs scripts of this Python; 0 for none."""
    import subprocess

    from airflow_train.targets import mpi

    found = mpi.find(python) if os.access(python, os.X_OK) else None
    command = [python, "-c", "import mpi4py"]
    if found is None or subprocess.run(command, capture_output=True, check=False).returncode:
        return 0
    return found.major


def _python38_candidates() -> Iterator[str]:
    home = Path.home()
    yield from (str(Path(folder, "python3.8")) for folder in os.get_exec_path())
    for pattern in (".pyenv/versions/3.8.*", ".local/share/uv/python/cpython-3.8.*"):
        yield from map(str, sorted(home.glob(f"{pattern}/bin/python3.8")))


def _is_python38(executable: str) -> bool:
    import subprocess

    if not os.access(executable, os.X_OK):
        return False
    question = "import sys; print(sys.version_info[:2])"
    answer = subprocess.run([executable, "-c", question], capture_output=True, text=True, check=False)
    return answer.stdout.strip() == "(3, 8)"


def _needs_airflow_home(item: pytest.Item) -> bool:
    return TESTS / "airflow" in item.path.parents
