"""`Experiment.submit` takes every class that can run, as an object, as data and as a file, and runs what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train import (
    Chainer,
    CondaDependencies,
    Estimator,
    Experiment,
    ParallelTaskConfiguration,
    RunConfiguration,
    ScriptRunConfig,
    TensorFlow,
)
from airflow_train.exceptions import DefinitionError, UnsupportedByTarget
from tests.wheels import Index

#: Says who it is and what it was told. A cluster's workers wait for its servers, which are sent home after them.
SCRIPT = """
import glob, json, os, sys, time
names = ("AIRFLOW_TRAIN_RANK", "TF_CONFIG", "A", "AZUREML_COMMUNICATOR")
print(json.dumps([sys.argv[1:], {name: os.environ[name] for name in names if name in os.environ}]))
if "TF_CONFIG" in os.environ:
    open("said-%s" % os.environ["AIRFLOW_TRAIN_RANK"], "w").close()
    while len(glob.glob("said-*")) < 3:
        time.sleep(0.01)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder with `train.py`."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    return folder


@pytest.fixture
def submitted(store_uri: str) -> Callable[[Any], list[Any]]:
    """Runs a definition to its end; gives arguments and variables of every rank."""

    def run(definition: Any) -> list[Any]:
        done = Experiment("classes", store_uri).submit(definition)
        assert done.wait_for_completion()["status"] == "Completed"
        ranks = {line.rank: json.loads(line.text) for line in done.logs()}
        return [ranks[rank] for rank in sorted(ranks)]

    return run


def told(said: list[Any], name: str) -> list[str]:
    return [variables[name] for _, variables in said]


def test_tensorflow_with_parameter_servers_under_its_old_names(submitted: Any, project: Path) -> None:
    with pytest.warns(FutureWarning, match="deprecated"):
        made = TensorFlow(
            str(project),
            entry_script="train.py",
            framework_version="2.16",
            user_managed=True,
            distributed_backend="ps",
            worker_count=2,
        )
    tasks = [json.loads(one)["task"] for one in told(submitted(made), "TF_CONFIG")]
    assert [one["type"] for one in tasks] == ["worker", "worker", "ps"]


def test_chainer_from_data(submitted: Any, project: Path) -> None:
    made = Chainer(str(project), entry_script="train.py", framework_version="7", script_params={"--lr": 0.1})
    made.user_managed = True
    assert submitted(made.to_dict())[0][0] == ["--lr", "0.1"]


def test_workers_of_their_own_from_a_yaml_file(submitted: Any, project: Path) -> None:
    training = ParallelTaskConfiguration(1, 2)
    made = Estimator(".", entry_script="train.py", node_count=2, distributed_training=training)
    made.to_yaml(project / "estimator.yaml")
    said = submitted(project / "estimator.yaml")
    assert told(said, "AIRFLOW_TRAIN_RANK") == ["0", "1", "2", "3"]
    assert told(said, "AZUREML_COMMUNICATOR") == ["ParallelTask"] * 4


def test_a_run_configuration_in_a_script_run(submitted: Any, project: Path) -> None:
    run_config = RunConfiguration("train.py", ["--n", 3], communicator="ParallelTask")
    run_config.paralleltask.worker_count_per_node = 2
    run_config.environment.environment_variables = {"A": "environment"}
    run_config.environment_variables = {"A": "run"}
    said = submitted(ScriptRunConfig(str(project), run_config=run_config))
    assert [words for words, _ in said] == [["--n", "3"]] * 2
    assert told(said, "A") == ["run", "run"]


def test_a_run_configuration_of_a_project_as_an_object_and_as_a_file(submitted: Any, project: Path) -> None:
    RunConfiguration("train.py", ["-x"]).save(project, "train")
    assert submitted(RunConfiguration.load(project, "train"))[0][0] == ["-x"]
    assert submitted(project / ".azureml" / "train.runconfig")[0][0] == ["-x"]


def test_a_script_that_only_the_run_configuration_names_must_be_there(store_uri: str, project: Path) -> None:
    made = ScriptRunConfig(str(project), run_config=RunConfiguration("tran.py"))
    with pytest.raises(DefinitionError, match=r"script is 'tran\.py' but .* did you mean train\.py\?"):
        Experiment("classes", store_uri).submit(made)


def test_packages_of_a_run_configuration_are_there(store_uri: str, project: Path, packages: Index) -> None:
    conda = CondaDependencies.create(pip_packages=["probe"])
    (project / "train.py").write_text("import probe\nprint(probe.VERSION)\n")
    made = ScriptRunConfig(str(project), run_config=RunConfiguration("train.py", conda_dependencies=conda))
    run = Experiment("classes", store_uri).submit(made)
    assert run.wait_for_completion()["status"] == "Completed"
    assert [line.text for line in run.logs(0)] == ["1.0"]


def test_what_containers_alone_have_is_refused_where_there_are_none(store_uri: str, project: Path) -> None:
    made = Estimator(str(project), entry_script="train.py", custom_docker_image="x")
    with pytest.raises(
        UnsupportedByTarget, match="custom_docker_image can't be honoured on the local target"
    ):
        Experiment("classes", store_uri).submit(made)
