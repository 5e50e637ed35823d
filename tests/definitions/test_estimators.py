"""The rules of estimators: what may stand together, what is accepted for old code, and what it comes to."""

from __future__ import annotations

import inspect
import pickle
import warnings
from copy import deepcopy
from typing import Any

import pytest

from airflow_train.definitions import (
    ContainerRegistry,
    Environment,
    Estimator,
    MpiConfiguration,
    PyTorch,
    PyTorchConfiguration,
    SKLearn,
    TensorflowConfiguration,
)
from airflow_train.exceptions import DefinitionError

ASKED_FOR = ("environment", "gpu", "cpu", "memory", "shm_size", "inputs", "resume_from")
ORIGINAL = {
    "source_directory", "compute_target", "vm_size", "vm_priority", "entry_script", "script_params", "node_count",
    "process_count_per_node", "distributed_backend", "distributed_training", "use_gpu", "use_docker",
    "custom_docker_base_image", "custom_docker_image", "image_registry_details", "user_managed", "conda_packages",
    "pip_packages", "conda_dependencies_file_path", "pip_requirements_file_path", "conda_dependencies_file",
    "pip_requirements_file", "environment_variables", "environment_definition", "inputs", "source_directory_data_store",
    "shm_size", "resume_from", "max_run_duration_seconds",
}  # fmt: skip
ADDED = {
    "experiment",
    "apt_packages",
    "cpu",
    "memory",
    "gpu",
    "tags",
    "grace_seconds",
    "no_progress_timeout",
    "secrets",
}
NOT_SKLEARN = {
    "node_count", "process_count_per_node", "distributed_backend", "distributed_training", "use_gpu", "gpu",
    "custom_docker_base_image", "source_directory_data_store",
}  # fmt: skip


def estimator(**parameters: Any) -> Estimator:
    return Estimator("src", entry_script="train.py", **parameters)


def refusal(**parameters: Any) -> str:
    with pytest.raises(DefinitionError) as caught:
        estimator(**parameters)
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_an_estimator_has_the_parameters_of_the_original_and_our_additions() -> None:
    assert set(inspect.signature(Estimator).parameters) == ORIGINAL | ADDED
    assert set(inspect.signature(PyTorch).parameters) == ORIGINAL | ADDED | {"framework_version"}
    own = (ORIGINAL | ADDED | {"framework_version"}) - NOT_SKLEARN
    assert set(inspect.signature(SKLearn).parameters) == own


def test_only_the_source_directory_is_positional() -> None:
    kinds = {name: one.kind for name, one in inspect.signature(Estimator).parameters.items()}
    assert kinds.pop("source_directory") is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert set(kinds.values()) == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("cls", [Estimator, PyTorch, SKLearn])
def test_who_asks_for_nothing_gets_a_job_that_asks_for_nothing(cls: Any) -> None:
    job = cls("src", entry_script="train.py").normalized().to_dict()
    assert [name for name in ASKED_FOR if job[name]] == []
    assert (job["node_count"], job["process_count_per_node"], job["distribution"]) == (1, 1, None)
    assert job["grace_seconds"] == 30


@pytest.mark.parametrize("cls", [PyTorch, SKLearn])
def test_a_framework_version_alone_asks_for_no_packages(cls: Any) -> None:
    job = cls("src", entry_script="train.py", framework_version="99.1").normalized()
    assert job.framework_version == "99.1"
    assert job.framework in {"PyTorch", "ScikitLearn"}
    assert not job.environment


def test_script_params_become_a_command_line() -> None:
    params = {"--v": "", "--layers": [64, 32], "--z": 0, "--n": None, "--l": ("ab", "c"), "--deep": [[1, 2]]}
    assert estimator(script_params=params).normalized().arguments == [
        "--v", "--layers", "64", "32", "--z", "0", "--n", "--l", "ab", "c", "--deep", "[1, 2]",
    ]  # fmt: skip


def test_values_of_numpy_are_single_values() -> None:
    numpy = pytest.importorskip("numpy")
    params = {"--lr": numpy.float64(0.5), "--n": numpy.int64(3), "--layers": numpy.array([1, 2])}
    words = estimator(script_params=params).normalized().arguments
    assert words == ["--lr", "0.5", "--n", "3", "--layers", "1", "2"]


def test_an_object_without_text_is_no_script_parameter() -> None:
    assert "script_params['--x']" in refusal(script_params={"--x": object()})


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ("distributed_backend", "gloo", "distributed_training"),
        ("custom_docker_base_image", "python:3.12", "custom_docker_image"),
        ("conda_dependencies_file_path", "conda.yml", "conda_dependencies_file"),
        ("pip_requirements_file_path", "requirements.txt", "pip_requirements_file"),
    ],
)
def test_a_deprecated_name_works_with_one_warning_that_names_its_successor(
    old: str, value: str, new: str
) -> None:
    with pytest.warns(FutureWarning, match=rf"{old} is deprecated; write {new} instead") as seen:
        made = estimator(**{old: value})
    assert len(seen) == 1
    assert seen[0].filename == __file__
    assert new in made.to_dict()
    assert old not in made.to_dict()


def test_of_an_old_and_a_new_file_name_the_new_one_is_used() -> None:
    with pytest.warns(FutureWarning, match="which is used since both are given"):
        made = estimator(pip_requirements_file_path="old.txt", pip_requirements_file="new.txt")
    assert made.pip_requirements_file == "new.txt"


@pytest.mark.parametrize("name", ["vm_size", "vm_priority", "source_directory_data_store"])
def test_what_has_no_meaning_here_is_accepted_with_one_sentence(name: str) -> None:
    with pytest.warns(UserWarning, match=f"{name} has no effect: ") as seen:
        made = estimator(**{name: "something"})
    assert len(seen) == 1
    assert name not in made.to_dict()


@pytest.mark.parametrize(
    ("backend", "distribution"),
    [
        ("mpi", {"type": "mpi", "node_count": 2, "process_count_per_node": 1}),
        ("GLOO", {"type": "pytorch", "communication_backend": "Gloo", "process_count": 2, "node_count": 2}),
        ("nccl", {"type": "pytorch", "communication_backend": "Nccl", "process_count": 2, "node_count": 2}),
        ("ps", {"type": "tensorflow", "worker_count": 2, "parameter_server_count": 1}),
    ],
)
def test_a_backend_stands_for_a_distribution(backend: str, distribution: dict[str, Any]) -> None:
    with pytest.warns(FutureWarning):
        made = estimator(distributed_backend=backend, node_count=2)
    assert made.normalized().distribution == distribution


def test_numbers_may_stand_in_the_estimator_or_in_its_distribution() -> None:
    inside = estimator(distributed_training=MpiConfiguration(process_count_per_node=2, node_count=3))
    outside = estimator(distributed_training="mpi", process_count_per_node=2, node_count=3)
    assert inside.normalized().distribution == outside.normalized().distribution
    assert (inside.normalized().node_count, inside.normalized().process_count_per_node) == (3, 2)


@pytest.mark.parametrize(
    "parameters",
    [
        {"node_count": 2, "distributed_training": MpiConfiguration(node_count=3)},
        {"node_count": 2, "distributed_training": TensorflowConfiguration(worker_count=3)},
        {"process_count_per_node": 2, "distributed_training": PyTorchConfiguration(process_count=3)},
        {
            "node_count": 2,
            "process_count_per_node": 2,
            "distributed_training": PyTorchConfiguration(process_count=2),
        },
    ],
)
def test_numbers_that_contradict_each_other_are_refused_with_both_names(parameters: Any) -> None:
    name = "process_count_per_node" if "process_count_per_node" in parameters else "node_count"
    said = refusal(**parameters)
    assert f"{name} is 2 but distributed_training." in said


def test_the_process_count_of_pytorch_is_the_total() -> None:
    job = estimator(distributed_training=PyTorchConfiguration(process_count=6, node_count=2)).normalized()
    assert (job.node_count, job.process_count_per_node) == (2, 3)
    assert "a multiple of the 2 nodes" in refusal(
        distributed_training=PyTorchConfiguration(process_count=5, node_count=2)
    )


def test_every_tensorflow_worker_is_a_node() -> None:
    job = estimator(distributed_training=TensorflowConfiguration(worker_count=3)).normalized()
    assert (job.node_count, job.process_count_per_node) == (3, 1)


def test_something_that_is_no_distribution_is_refused() -> None:
    assert "mpi, pytorch, tensorflow or paralleltask" in refusal(distributed_training=object())


def test_use_gpu_asks_for_one_gpu() -> None:
    assert estimator(use_gpu=True).normalized().gpu == 1
    job = estimator(gpu=4).normalized()
    assert (job.gpu, job.use_gpu) == (4, True)


@pytest.mark.parametrize("name", sorted(NOT_SKLEARN))
def test_scikit_learn_runs_in_one_process_without_gpu(name: str) -> None:
    with pytest.raises(DefinitionError, match=f"SKLearn has no {name}: "):
        SKLearn("src", entry_script="train.py", **{name: 1})


@pytest.mark.parametrize(
    "parameters",
    [
        {"pip_packages": ["a"]},
        {"pip_requirements_file": "a"},
        {"conda_packages": ["a"]},
        {"conda_dependencies_file": "a"},
        {"custom_docker_image": "a"},
        {"image_registry_details": ContainerRegistry(address="a")},
        {"use_gpu": True},
        {"user_managed": True},
        {"shm_size": "2g"},
        {"environment_variables": {"A": "b"}},
    ],
)
def test_a_whole_environment_stands_alone(parameters: dict[str, Any]) -> None:
    said = refusal(environment_definition=Environment("e"), **parameters)
    assert f"{next(iter(parameters))} can't be given when environment_definition is given" in said


def test_packages_and_images_are_asked_for_in_the_job() -> None:
    registry = ContainerRegistry("r.example.com", "me", "connection:registry")
    made = estimator(pip_packages=["numpy"], custom_docker_image="r/i:1", image_registry_details=registry)
    assert made.normalized().environment == {
        "pip_packages": ["numpy"],
        "image": "r/i:1",
        "registry": {
            "address": "r.example.com",
            "username": "me",
            "password": "connection:registry",
        },
    }


def test_an_environment_gives_interpreter_and_variables() -> None:
    environment = Environment("e", environment_variables={"A": 1})
    environment.python.user_managed_dependencies = True
    environment.python.interpreter_path = "/usr/bin/python3"
    job = estimator(environment_definition=environment).normalized()
    assert (job.user_managed, job.interpreter_path) == (True, "/usr/bin/python3")
    assert job.environment_variables == {"A": "1"}
    assert not job.environment


@pytest.mark.parametrize("name", ["gpu", "memory", "shm_size", "max_run_duration_seconds"])
def test_no_number_is_larger_than_what_can_be_stored(name: str) -> None:
    assert f"{name} is 1180591620717411303424 but must be at most" in refusal(**{name: 2**70})


def test_a_distribution_may_be_a_template() -> None:
    made = estimator(distributed_training="{{ params.how }}", node_count=2)
    with pytest.raises(DefinitionError, match="a template that was not rendered"):
        made.normalized()


def test_memory_is_kept_as_written_and_counted_in_bytes() -> None:
    sizes = {"2GB": 2 * 10**9, "512Mi": 512 << 20, 1 << 30: 1 << 30}
    for written, size in sizes.items():
        job = estimator(memory=written).normalized()
        assert (job.memory, job.memory_bytes) == (str(written), size)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(DefinitionError) as caught:
        Estimator("src", node_count=0, gpu=-1, memory="lots", nonsense=1)
    assert len(caught.value.problems) == 5


def test_a_password_is_a_reference_and_never_shown() -> None:
    with pytest.raises(DefinitionError) as caught:
        ContainerRegistry("r.example.com", "me", "hunter2")
    assert "hunter2" not in str(caught.value)
    assert ContainerRegistry(password="env:PASSWORD").password == "env:PASSWORD"


def test_a_changed_attribute_is_checked() -> None:
    made = estimator()
    made.node_count = 3
    with pytest.raises(DefinitionError, match="at least 1"):
        made.node_count = 0
    with pytest.raises(DefinitionError, match="did you mean node_count"):
        made.node_cuont = 2
    with pytest.raises(DefinitionError, match="node_count is 3 but distributed_training"):
        made.normalized()


def test_definitions_are_equal_when_they_say_the_same() -> None:
    made = estimator(tags={"a": 1}, grace_seconds=30)
    assert made == estimator(tags={"a": "1"})
    assert made != estimator()
    assert deepcopy(made) == pickle.loads(pickle.dumps(made)) == made


def test_construction_warns_of_nothing_by_itself() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PyTorch("src", entry_script="train.py").normalized()
