"""One Airflow home per process: a migrated database (copied from a template, migrating takes 7 s) and a DAG folder.

`dag.test()` runs only DAGs that lie in a file of the DAG folder. The first takes some seconds, each further one 0.2 s.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata, util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def only_our_warnings_are_errors() -> None:
    """Airflow runs in this process with all that it depends on; what these warn of isn't ours to mend."""
    warnings.simplefilter("ignore")
    warnings.filterwarnings("error", module=r"airflow_train(\.|$)")


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow's home; from here on this process runs Airflow in it."""
    assert "airflow" not in sys.modules, (
        "Airflow reads its home on import: import it in fixtures and tests only"
    )
    home = tmp_path_factory.mktemp("airflow home")
    for name in list(os.environ):
        if name.startswith(("AIRFLOW_", "_AIRFLOW_")) and name != "AIRFLOW_TRAIN_REQUIRE_ENGINES":
            del os.environ[name]
    os.environ.update(_settings(home))
    (home / "dags").mkdir()
    shutil.copyfile(_template(), home / "airflow.db")
    return home


def _settings(home: Path) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_TRAIN_STORE": str(home / "run store"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_FACTORY__ENABLE_TELEMETRY": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        # no file of a test's DAG is ever skipped because it doesn't speak of DAGs
        "AIRFLOW__CORE__DAG_DISCOVERY_SAFE_MODE": "False",
    }


def _template() -> Path:
    """A migrated database, made once per version of Airflow on this machine."""
    version = metadata.version("apache-airflow-core")
    key = hashlib.sha256(f"{sys.prefix} {version}".encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"airflow-train-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    template = folder / f"airflow-{version}-{key}.db"
    if not template.exists():
        with tempfile.TemporaryDirectory(dir=folder) as home:
            environment = {**os.environ, **_settings(Path(home))}
            command = [sys.executable, "-m", "airflow", "db", "migrate"]
            subprocess.run(command, env=environment, check=True, capture_output=True, timeout=170)
            os.replace(Path(home) / "airflow.db", template)
    return template


@pytest.fixture
def dags_folder(airflow_home: Path) -> Iterator[Path]:
    """A DAG folder without DAGs; what a test puts there is gone after it."""
    folder = airflow_home / "dags"
    (folder / ".airflowignore").write_text("code*/\n", encoding="utf-8")
    yield folder
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


@pytest.fixture
def store(airflow_home: Path) -> Iterator[Any]:
    """The run store of the DAGs, empty at first."""
    from airflow_train.store.run_store import open_store

    yield open_store()
    shutil.rmtree(airflow_home / "run store", ignore_errors=True)


@pytest.fixture
def load(dags_folder: Path) -> Callable[[Path], ModuleType]:
    """Imports a DAG file that lies in the DAG folder."""

    def loaded(path: Path) -> ModuleType:
        spec = util.spec_from_file_location(f"dag_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return loaded


HEADER = """
from datetime import timedelta
from airflow.sdk import DAG, task
from airflow_train import Estimator, PyTorch, PyTorchConfiguration
from airflow_train.operators import DistributedEstimatorOperator, EstimatorOperator, RegisterModelOperator
from airflow_train.sensors import RunSensor
"""


@pytest.fixture
def script(dags_folder: Path) -> Callable[..., str]:
    """Writes a training script to a folder beside the DAG file; returns the folder's name."""

    def written(text: str, folder: str = "code") -> str:
        (dags_folder / folder).mkdir(exist_ok=True)
        (dags_folder / folder / "train.py").write_text(textwrap.dedent(text), encoding="utf-8")
        return folder

    return written


@pytest.fixture
def make_dag(dags_folder: Path, load: Callable[[Path], ModuleType]) -> Callable[[str], Any]:
    """Writes a DAG file, whose tasks are the given lines, and returns its DAG."""

    def made(tasks: str, header: str = "") -> Any:
        name = f"dag_{next(_NUMBERS)}"
        body = textwrap.indent(textwrap.dedent(tasks).strip(), "    ")
        text = f"{HEADER}{header}\nwith DAG({name!r}, schedule=None) as dag:\n{body}\n"
        path = dags_folder / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return load(path).dag

    return made


class Outcome:
    """How a DAG run ended."""

    def __init__(self, dag_run: Any) -> None:
        self.dag_run = dag_run
        self.state = str(dag_run.state.value if hasattr(dag_run.state, "value") else dag_run.state)
        self._instances = {(one.task_id, one.map_index): one for one in dag_run.get_task_instances()}

    def task(self, task_id: str, map_index: int = -1) -> Any:
        """Airflow's task instance."""
        return self._instances[task_id, map_index]

    def states(self) -> dict[str, str]:
        """Task → state."""
        return {task: str(one.state) for (task, _), one in self._instances.items()}

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task told others."""
        return self.task(task_id, map_index).xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)


@pytest.fixture
def run_dag(store: Any) -> Callable[..., Outcome]:
    """Runs a DAG by `dag.test()` with an empty run store."""
    del store

    def ran(dag: Any, **conf: Any) -> Outcome:
        return Outcome(dag.test(run_conf=conf or None))

    return ran
