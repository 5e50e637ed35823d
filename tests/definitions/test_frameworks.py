"""TensorFlow, Chainer, and what the original deprecated: accepted, with one warning that names what replaced it."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest

import airflow_train
from airflow_train.definitions import (
    Chainer,
    Estimator,
    MpiConfiguration,
    ParallelTaskConfiguration,
    PyTorch,
    PyTorchConfiguration,
    SKLearn,
    TensorFlow,
    TensorflowConfiguration,
    load,
)
from airflow_train.definitions.frameworks import FRAMEWORKS
from airflow_train.exceptions import DefinitionError

COUNTS = ("worker_count", "parameter_server_count")


def tensorflow(**parameters: Any) -> TensorFlow:
    return TensorFlow("src", entry_script="train.py", framework_version="2.16", **parameters)


def test_framework_estimators_have_the_parameters_of_the_original() -> None:
    own = set(inspect.signature(PyTorch).parameters)
    assert set(inspect.signature(Chainer).parameters) == own
    assert set(inspect.signature(TensorFlow).parameters) == own | set(COUNTS)


@pytest.mark.parametrize(("cls", "version"), [(TensorFlow, "1.13"), (Chainer, "5.1.0")])
def test_a_missing_version_is_warned_of_once_with_what_the_original_took(cls: Any, version: str) -> None:
    with pytest.warns(UserWarning, match=f"framework_version is not given; .* {version} then") as seen:
        made = cls("src", entry_script="train.py")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is read again on its way to the run
        load(made).normalized()
    assert len(seen) == 1
    assert seen[0].filename == __file__


def test_the_versions_that_the_original_installs_can_be_asked_for() -> None:
    assert TensorFlow.get_supported_versions()[:3] == ["1.10", "1.12", "1.13"]
    assert SKLearn.get_supported_versions() == ["0.20.3"]


@pytest.mark.parametrize("cls", [TensorFlow, Chainer])
def test_any_version_is_accepted_and_nothing_is_installed_for_it(cls: Any) -> None:
    job = cls("src", entry_script="train.py", framework_version="99.1").normalized()
    assert (job.framework, job.framework_version, job.environment) == (cls.__name__, "99.1", {})


@pytest.mark.filterwarnings("ignore:.* is deprecated; write distributed_training:FutureWarning")
@pytest.mark.parametrize(
    ("cls", "name"), [(PyTorch, "PyTorch"), (TensorFlow, "TensorFlow"), (Chainer, "Chainer")]
)
def test_a_framework_takes_its_backends_and_no_other(cls: Any, name: str) -> None:
    for backend in ("mpi", "gloo", "nccl", "ps"):
        parameters = {"framework_version": "1", "entry_script": "train.py", "distributed_backend": backend}
        if backend in FRAMEWORKS[name].backends:
            assert cls("src", **parameters).normalized().distribution is not None
        else:
            with pytest.raises(DefinitionError, match=f"distributed_backend is '{backend}' but must be "):
                cls("src", **parameters)


def test_the_old_counts_of_tensorflow_move_into_its_distribution() -> None:
    with pytest.warns(FutureWarning) as seen:
        made = tensorflow(distributed_backend="ps", worker_count=3, parameter_server_count=2)
    assert [str(one.message).partition("; ")[2] for one in seen[1:]] == [
        "write distributed_training.worker_count instead.",
        "write distributed_training.parameter_server_count instead.",
    ]
    assert made.distributed_training == TensorflowConfiguration(3, 2)
    assert made.normalized().node_count == 3


def test_of_an_old_and_a_new_count_the_new_one_is_used_and_the_authors_object_stays() -> None:
    own = TensorflowConfiguration(worker_count=2)
    with pytest.warns(FutureWarning, match="which is used since both are given"):
        made = tensorflow(distributed_training=own, worker_count=5)
    assert made.normalized().node_count == 2
    with pytest.warns(FutureWarning, match="parameter_server_count is deprecated"):
        assert tensorflow(distributed_training=own, parameter_server_count=4).distributed_training != own
    assert own == TensorflowConfiguration(worker_count=2)


def test_counts_without_parameter_servers_have_no_effect_and_say_so() -> None:
    with pytest.warns(UserWarning, match="worker_count has no effect: no distributed_training is given"):
        assert tensorflow(worker_count=3).normalized().node_count == 1


@pytest.mark.filterwarnings("ignore:.* is deprecated; write distributed_training:FutureWarning")
def test_counts_are_checked_like_all_numbers() -> None:
    with pytest.raises(DefinitionError, match="worker_count is 0 but must be at least 1"):
        tensorflow(distributed_training="ps", worker_count=0)


@pytest.mark.parametrize(
    ("old", "arguments", "new"),
    [
        ("Mpi", (4,), MpiConfiguration(4)),
        ("Gloo", (), PyTorchConfiguration("Gloo")),
        ("Nccl", (), PyTorchConfiguration("Nccl")),
        ("ParameterServer", (3, 2), TensorflowConfiguration(3, 2)),
    ],
)
def test_deprecated_classes_give_what_replaced_them(old: str, arguments: tuple[int, ...], new: Any) -> None:
    with pytest.warns(FutureWarning, match=f"{old} is deprecated; write {type(new).__name__}") as seen:
        assert getattr(airflow_train, old)(*arguments) == new
    assert seen[0].filename == __file__


def test_workers_of_their_own_lie_on_every_node() -> None:
    training = ParallelTaskConfiguration(2, 3, [77])
    job = Estimator("src", entry_script="a.py", node_count=2, distributed_training=training).normalized()
    assert (job.node_count, job.process_count_per_node) == (2, 3)
    assert job.distribution == {
        "type": "paralleltask",
        "worker_count_per_node": 3,
        "max_retries_per_worker": 2,
        "terminal_exit_codes": [77],
    }


def test_the_original_fills_in_workers_after_making_them() -> None:
    training = ParallelTaskConfiguration()
    training.max_retries_per_worker = 2
    training.worker_count_per_node = 3
    training.terminal_exit_codes = [1, "77"]
    assert training == ParallelTaskConfiguration(2, 3, [1, 77])


@pytest.mark.parametrize("code", [0, 256, -1, "one", None, True, 1.5])
def test_what_is_no_exit_code_of_a_failure_is_refused(code: object) -> None:
    with pytest.raises(DefinitionError, match=r"terminal_exit_codes\[0\] is "):
        ParallelTaskConfiguration(terminal_exit_codes=[code])


def test_two_counts_of_workers_that_disagree_are_refused() -> None:
    with pytest.raises(
        DefinitionError, match=r"process_count_per_node is 2 but .*worker_count_per_node is 3"
    ):
        tensorflow(process_count_per_node=2, distributed_training=ParallelTaskConfiguration(0, 3))
