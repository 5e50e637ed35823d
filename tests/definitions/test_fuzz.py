"""Whatever stands in a file or an argument, a definition is read or refused in whole sentences, soon."""

from __future__ import annotations

import random
import signal
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_train import definitions
from airflow_train.definitions import (
    Chainer,
    ContainerRegistry,
    DockerConfiguration,
    Environment,
    Estimator,
    MpiConfiguration,
    ParallelTaskConfiguration,
    PyTorch,
    PyTorchConfiguration,
    RunConfiguration,
    ScriptRunConfig,
    SKLearn,
    TensorFlow,
    TensorflowConfiguration,
)
from airflow_train.exceptions import DefinitionError

ROUNDS = 250
SDK = (Path(__file__).parent / "azureml_sdk_1_61.runconfig").read_text()
CLASSES: list[Any] = [
    Estimator, PyTorch, TensorFlow, Chainer, SKLearn, ScriptRunConfig, RunConfiguration, Environment, MpiConfiguration,
    PyTorchConfiguration, TensorflowConfiguration, ParallelTaskConfiguration, ContainerRegistry, DockerConfiguration,
]  # fmt: skip
FILES = [
    """
type: Estimator
source_directory: src
entry_script: a.py
node_count: 2
distributed_training: {type: mpi, process_count_per_node: 2}
script_params: {--lr: 0.1, --x: [1, 2]}
environment_variables:
  A: b
pip_packages: [numpy]
compute_target: {type: local, interpreter_path: python3}
memory: 2GB
""",
    """
type: ScriptRunConfig
source_directory: src
arguments: [--lr, 0.1]
run_config:
  script: a.py
  communicator: ParallelTask
  paralleltask: {max_retries_per_worker: 2, terminal_exit_codes: [1, 2]}
  environment:
    python:
      conda_dependencies:
        channels: [x]
        dependencies: [python=3, {pip: [numpy]}]
    docker: {base_image: x, platform: linux/amd64}
""",
]
TOKENS = [
    "0", "-1", "null", "~", "yes", "[", "]", "{", "}", "*a", "&a", "&a {x: *a}", "!!python/object:os.system", "\t",
    "---", "...", "<<", "? ", "- ", "'", '"', "{{ x }}", "{% x", "\u202e", "\0", "\ufeff", "9" * 5000, "a" * 5000,
    "2020-01-01", "1e999", ".nan", "|", "> ", "%YAML 9", "#", "é", "[[[[", "{a: b}", "''", '"\\e[31m"', '"\\0"',
    "../../etc/passwd", "/dev/zero", "src", "..", "~nobody", "\u2028", "None", "mpi", "gloo", "ParameterServer",
]  # fmt: skip


class Odd:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if levels % 2 else {"a": value}
    return value


VALUES: list[Callable[[], Any]] = [
    lambda: None, lambda: True, lambda: 0, lambda: -1, lambda: 2**63, lambda: 10**5000, lambda: float("nan"),
    lambda: "", lambda: "a\0b", lambda: "a\nb", lambda: "\x1b[31m", lambda: "\ud800", lambda: "9" * 10_000,
    lambda: "..", lambda: "{{ x }}", lambda: "mpi", lambda: "connection:x", lambda: b"x", lambda: (), list, dict,
    lambda: {1}, lambda: [None], lambda: {None: 1}, lambda: {"type": []}, lambda: {("a",): 1}, object, Odd,
    lambda: int, lambda: iter([1]), lambda: range(10**12), lambda: deep(41), lambda: deep(5001), lambda: deep(5000),
    lambda: {"dependencies": [{"pip": 3}]}, lambda: {"channels": "x"}, lambda: "2 Gi", lambda: "a b 'c", Path,
    lambda: MpiConfiguration(2), lambda: Environment("e"), lambda: RunConfiguration("a.py"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Nothing takes longer than a minute, and what is warned of isn't the matter here."""
    signal.alarm(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    signal.alarm(0)


def read(how: Callable[[], Any]) -> None:
    """Read it, or be refused in sentences that are one line each and not said twice."""
    problems: tuple[str, ...] = ()
    try:
        made = how()
        if isinstance(made, definitions.Runnable):
            definitions.as_plain(made)
            made.normalized()
        assert repr(made)
        assert made == made.from_dict(made.to_dict(), strict=False)
    except DefinitionError as error:
        problems = error.problems
    assert len(set(problems)) == len(problems)
    assert all(one.isprintable() and one.endswith((".", "?")) for one in problems)


def changed(text: str, rnd: random.Random) -> str:
    for _ in range(rnd.randrange(1, 4)):
        lines = text.split("\n")
        place, token = rnd.randrange(len(lines)), rnd.choice(TOKENS)
        name, colon, value = lines[place].partition(":")
        match rnd.randrange(6):
            case 0:
                lines[place] = f"{name}{colon} {token}"
            case 1:
                lines[place] = f"{token}{colon}{value}"
            case 2:
                lines.insert(place, rnd.choice(lines))
            case 3:
                lines[place] = f"  {lines[place]}"
            case 4:
                lines[place] = lines[place][: rnd.randrange(len(lines[place]) + 1)] + token
            case _:
                del lines[place]
        text = "\n".join(lines) or "x"
    return text


@pytest.mark.parametrize("seed", range(4))
def test_a_file_with_random_changes_is_read_or_refused(seed: int, tmp_path: Path) -> None:
    rnd = random.Random(seed)
    for _ in range(ROUNDS):
        data = bytearray(changed(rnd.choice(FILES), rnd).encode())
        if rnd.random() < 0.1:
            data[rnd.randrange(len(data))] = rnd.randrange(256)
        (tmp_path / "a.yaml").write_bytes(data)
        read(lambda: definitions.load(tmp_path / "a.yaml"))


@pytest.mark.parametrize("seed", range(4))
def test_a_run_configuration_file_with_random_changes_is_read_or_refused(seed: int, tmp_path: Path) -> None:
    rnd = random.Random(seed)
    (tmp_path / ".azureml").mkdir()
    conda = "name: x\nchannels: [a]\ndependencies:\n- python=3\n- pip: [numpy]\n"
    for _ in range(ROUNDS // 4):
        (tmp_path / ".azureml" / "a.runconfig").write_bytes(changed(SDK, rnd).encode())
        (tmp_path / ".azureml" / "conda_dependencies.yml").write_bytes(changed(conda, rnd).encode())
        read(lambda: definitions.load(tmp_path / ".azureml" / "a.runconfig"))


@pytest.mark.parametrize("seed", range(4))
def test_random_arguments_are_taken_or_refused(seed: int) -> None:
    rnd = random.Random(seed)
    for _ in range(ROUNDS * 4):
        cls = rnd.choice(CLASSES)
        given = {"source_directory": "src", "entry_script": "a.py", "script": "a.py", "name": "e"}
        given = {name: value for name, value in given.items() if name in cls.PARAMS}
        for _ in range(rnd.randrange(1, 4)):
            given[rnd.choice([*cls.PARAMS, "unknown"])] = rnd.choice(VALUES)()
        read(partial(cls, **given) if rnd.random() < 0.5 else partial(cls.from_dict, given, strict=False))
