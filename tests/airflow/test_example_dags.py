"""Every DAG in `dags/` runs, exactly as it lies there."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

#: What CI keeps from one run to the next.
CACHE = Path("~/.cache/airflow-train/ci").expanduser()
DAGS = Path(__file__).parents[2] / "dags"
NAMES = sorted(path.stem for path in DAGS.glob("*.py"))

Load = Callable[[Path], Any]
Run = Callable[..., Any]


@pytest.fixture
def example(dags_folder: Path, load: Load) -> Callable[[str], Any]:
    """The DAG of that name, from a copy of all of `dags/` in Airflow's DAG folder."""

    def copied(name: str) -> Any:
        shutil.copytree(DAGS, dags_folder, dirs_exist_ok=True)
        return load(dags_folder / f"{name}.py").dag

    return copied


def test_train_and_register(example: Callable[[str], Any], run_dag: Run) -> None:
    from airflow_train import Model

    outcome = run_dag(example("train_and_register"), c=2.0)
    assert outcome.state == "success"
    assert outcome.xcom("train", "metrics")["c"] == 2.0
    assert outcome.xcom("register", "metrics")["accuracy"] > 0.9
    assert Model("digits").run_id == outcome.xcom("train", "run_id")


def test_submit_many_then_wait(example: Callable[[str], Any], run_dag: Run, store: Any) -> None:
    outcome = run_dag(example("submit_many_then_wait"))
    assert outcome.state == "success"
    runs = {run.run_id: run.metrics for run in store.list_runs()}
    assert len(runs) == 3
    assert runs[outcome.xcom("best")]["loss"] == min(metrics["loss"] for metrics in runs.values())


def test_estimator_from_yaml(example: Callable[[str], Any], run_dag: Run, store: Any) -> None:
    outcome = run_dag(example("estimator_from_yaml"), gamma=0.002)
    assert outcome.state == "success"
    [run] = store.list_runs(experiment="digits")
    assert run.metrics["accuracy"] > 0.9
    assert run.tags["from"] == "yaml"
    assert store.spec(run.run_id).job["arguments"][-1] == "0.002"


def test_retrain_on_schedule(example: Callable[[str], Any], run_dag: Run) -> None:
    from airflow_train import Model

    dag = example("retrain_on_schedule")
    assert run_dag(dag).state == "success"
    assert not Model("digits").tags["data"].startswith("{")
    train = dag.get_task("train")
    train.estimator["script_params"], train.retries = {"--c": "no number"}, 0
    failed = run_dag(dag)
    assert failed.states() == {"train": "failed", "register": "upstream_failed"}
    assert Model("digits").version == 1


def test_promote_on_new_model(example: Callable[[str], Any], run_dag: Run, tmp_path: Path) -> None:
    from airflow_train import Model

    promote = example("promote_on_new_model").get_task("promote").python_callable
    (tmp_path / "weights").write_text("none")

    def register(accuracy: float) -> dict[str, Any]:
        version = Model.register(tmp_path / "weights", "digits").version
        extra = {"name": "digits", "version": version, "run_id": "r", "metrics": {"accuracy": accuracy}}
        return {"asset": [SimpleNamespace(extra=extra)]}

    def serving() -> list[int]:
        return [model.version for model in Model.list("digits", tags={"stage": "production"})]

    assert promote({}) is None
    for accuracy, best in [(0.8, 1), (0.9, 2), (0.7, 2), (0.9, 2)]:
        told = register(accuracy)
        assert promote(told) == promote(told) == f"digits:{best}"
        assert serving() == [best]
    assert run_dag(example("promote_on_new_model")).xcom("promote") == "digits:2"


def test_environment_from_requirements(
    example: Callable[[str], Any], run_dag: Run, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_TRAIN_ENVIRONMENTS", str(tmp_path / "environments"))
    monkeypatch.setenv("UV_CACHE_DIR", str(CACHE / "uv"))
    outcome = run_dag(example("environment_from_requirements"))
    assert outcome.state == "success"
    for digits in (30, 60):
        assert outcome.xcom(f"train_{digits}", "metrics")["right_digits"] >= digits
        assert store.summary(outcome.xcom(f"train_{digits}", "run_id")).tags["mpmath"] == "1.3.0"
    assert len([one for one in (tmp_path / "environments").iterdir() if one.is_symlink()]) == 1


@pytest.mark.mpi
def test_mpi_on_one_machine(
    example: Callable[[str], Any],
    run_dag: Run,
    store: Any,
    mpi_python: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dag = example("mpi_on_one_machine")
    dag.get_task("train").estimator["compute_target"] = {"type": "local", "interpreter_path": mpi_python}
    outcome = run_dag(dag)
    assert outcome.state == "success"
    [run] = store.list_runs(experiment="mpi_on_one_machine")
    assert run.metrics["ranks"] == 4
    assert run.metrics["pi"] == pytest.approx(3.14, abs=0.05)


def test_every_example_is_in_the_table_is_tested_and_tells_its_story() -> None:
    table = (DAGS / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        text = (DAGS / f"{name}.py").read_text(encoding="utf-8")
        assert f"]({name}.py)" in table
        assert f"test_{name}" in globals()
        assert "doc_md=__doc__" in text
        assert len(text.splitlines()) <= 45


@pytest.mark.docker
def test_train_in_docker(
    example: Callable[[str], Any], run_dag: Run, store: Any, shipped: Callable[[str], str], airflow_home: Path
) -> None:
    from airflow_train import Model
    from tests.targets.lab import docker_objects

    targets = airflow_home / "train_targets.yaml"
    targets.write_text(f"docker: {{type: docker, image: {shipped('sklearn')}}}\n", encoding="utf-8")
    try:
        outcome = run_dag(example("train_in_docker"))
    finally:
        targets.unlink()
    run_id = outcome.xcom("train", "run_id")
    assert outcome.state == "success"
    assert outcome.xcom("train", "metrics")["accuracy"] > 0.9
    assert Model("digits").run_id == run_id
    assert docker_objects(run_id) == []


@pytest.mark.docker
def test_distributed_pytorch(
    example: Callable[[str], Any], run_dag: Run, store: Any, shipped: Callable[[str], str]
) -> None:
    from airflow_train import Model
    from tests.targets.lab import docker_objects

    dag = example("distributed_pytorch")
    dag.get_task("train").estimator["custom_docker_image"] = shipped("pytorch")
    outcome = run_dag(dag)
    model, metrics = Model("characters"), outcome.xcom("train", "metrics")
    exits = store.record(model.run_id).exits

    assert outcome.state == "success"
    assert model.run_id == outcome.xcom("train", "run_id")
    assert metrics["ranks"] == 4
    assert metrics["accuracy"] > 0.4 > 2 * metrics["always_a_space"]
    assert [exits[rank]["node"] for rank in range(4)] == [0, 0, 1, 1]
    assert docker_objects(model.run_id) == []


#: Prints the share of digits that a model reads right which the script has held back.
READ = """
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
images, labels = load_digits(return_X_y=True)
_, images, _, labels = train_test_split(images, labels, test_size=0.3, random_state=0)
model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
model.load_state_dict(torch.load("/model/model.pt"))
print((model(torch.tensor(images).float() / 16).argmax(1).numpy() == labels).mean())
"""


@pytest.mark.docker
def test_distributed_horovod(
    example: Callable[[str], Any], run_dag: Run, store: Any, shipped: Callable[[str], str], tmp_path: Path
) -> None:
    from airflow_train import Model
    from tests.targets.lab import docker, docker_objects

    dag, image = example("distributed_horovod"), shipped("horovod")
    dag.get_task("train").estimator["custom_docker_image"] = image
    outcome = run_dag(dag)
    model, metrics = Model("digits_horovod"), outcome.xcom("train", "metrics")
    model.download(tmp_path)
    mount = ("--user=0", "-v", f"{tmp_path}:/model:ro")
    accuracy = docker("run", "--rm", *mount, image, "python3", "-c", READ)

    assert outcome.state == "success"
    assert model.run_id == outcome.xcom("train", "run_id")
    assert metrics["ranks"] == 4
    assert metrics["accuracy"] == pytest.approx(float(accuracy))
    assert float(accuracy) > 0.95
    assert docker_objects(model.run_id) == []


@pytest.mark.docker
def test_distributed_mpi4py(
    example: Callable[[str], Any], run_dag: Run, store: Any, shipped: Callable[[str], str]
) -> None:
    import numpy as np

    dag = example("distributed_mpi4py")
    dag.get_task("train").estimator["custom_docker_image"] = shipped("mpi")
    outcome = run_dag(dag)
    [run] = store.list_runs()
    centres = np.load(Path(outcome.xcom("train", "outputs_uri")) / "centres.npy")

    assert outcome.state == "success"
    assert (run.metrics["ranks"], run.metrics["points"]) == (4, 200_000)
    assert run.metrics["error"] < 0.05
    assert sorted(map(tuple, centres.round().tolist())) == [(-7, 5), (0, 0), (1, 9), (8, 1), (9, 9)]


def test_train_in_docker_is_the_dag_of_the_readme_on_another_target(repository: Path) -> None:
    def tasks(text: str) -> list[str]:
        [block] = [one for one in ast.parse(text).body if isinstance(one, ast.With)]
        for call in ast.walk(block):
            if isinstance(call, ast.Call):
                call.keywords = [one for one in call.keywords if one.arg != "compute_target"]
        return [ast.unparse(line) for line in block.body]

    [readme, *_] = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)
    own = (DAGS / "train_in_docker.py").read_text(encoding="utf-8")
    assert tasks(own) == tasks(readme)
    assert own.count('compute_target="docker"') == 1
