"""One `airflow standalone` for all live tests, with the DAGs of `dags/` and those that lie here."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.airflow import detached, from_yaml
from tests.airflow_live.marks import Marks
from tests.airflow_live.rest import Rest, until
from tests.airflow_live.standalone import Standalone

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "dags"

_RUNNING = pytest.StashKey[Standalone]()


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Standalone]:
    """Airflow, healthy, with every DAG in its database and awake."""
    home = tmp_path_factory.mktemp("airflow live")
    for folder in (EXAMPLES, HERE / "dags"):
        shutil.copytree(folder, home / "dags", dirs_exist_ok=True)
    from_yaml.write(home / "dags")
    detached.install(home / "plugins")  # a folder of Airflow's that Python finds packages in
    files = [path.name for path in (home / "dags").glob("*.py")]
    running = Standalone(home)
    pytestconfig.stash[_RUNNING] = running
    try:
        running.wait_until_ready()
        with Rest(running.address) as rest:
            until(lambda: parsed(rest) | broken(rest).keys() >= set(files), what=running.tail)
            assert broken(rest) == {}
            for dag_id in known(rest) - {"retrain_on_schedule"}:  # would begin by itself
                rest.patch(f"/dags/{dag_id}", is_paused=False)
        yield running
    finally:
        running.close()


@pytest.fixture(scope="session")
def rest(standalone: Standalone) -> Iterator[Rest]:
    """Airflow's API."""
    with Rest(standalone.address) as made:
        yield made


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    """What the scripts of a test leave behind."""
    return Marks(str(tmp_path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what Airflow's processes said, and where all their logs are."""
    report = yield
    running = item.config.stash.get(_RUNNING, None)
    if report.failed and running is not None and HERE in item.path.parents:
        report.sections.append((f"airflow standalone in {running.home}", running.tail()))
    return report


def known(rest: Rest) -> set[str]:
    """Ids of the DAGs that Airflow knows."""
    return {one["dag_id"] for one in rest.get("/dags", limit=100)["dags"]}


def parsed(rest: Rest) -> set[str]:
    """Files whose DAGs Airflow knows."""
    return {Path(one["relative_fileloc"]).name for one in rest.get("/dags", limit=100)["dags"]}


def broken(rest: Rest) -> dict[str, str]:
    """File → why it can't be imported."""
    errors = rest.get("/importErrors")["import_errors"]
    return {Path(one["filename"]).name: one["stack_trace"] for one in errors}
