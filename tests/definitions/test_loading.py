"""One definition by three ways: object, plain data, YAML; and what waits for a task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train import definitions
from airflow_train.definitions import Estimator, PyTorch, PyTorchConfiguration
from airflow_train.exceptions import DefinitionError

Write = Callable[..., Path]
HEAD = "type: Estimator\nsource_directory: src\nentry_script: train.py\n"
PARAMS = """
    type: Estimator
    source_directory: src
    entry_script: train.py
    script_params:
      --id: 010
      --at: 12:30
      --switch: off
      --lr: 0.10
      --on: yes
      --none: "null"
      --flag:
      --version: 1.10
      --exp: 1e-3
      --day: 2026-11-21
      --nested: [[1, 2], a]
"""


def test_script_params_reach_the_script_as_they_are_written(write: Write) -> None:
    words = definitions.load(write(PARAMS)).normalized().arguments
    assert dict(zip(words[:12:2], words[1:12:2], strict=True)) == {
        "--id": "010", "--at": "12:30", "--switch": "off", "--lr": "0.10", "--on": "yes", "--none": "null",
    }  # fmt: skip
    assert words[12:] == [
        "--flag", "--version", "1.10", "--exp", "1e-3", "--day", "2026-11-21", "--nested", "[1, 2]", "a",
    ]  # fmt: skip


def test_a_file_is_written_as_it_is_read(write: Write, tmp_path: Path) -> None:
    first = definitions.load(write(PARAMS))
    first.to_yaml(tmp_path / "again.yaml")
    assert Estimator.from_yaml(tmp_path / "again.yaml") == first


def test_object_data_and_file_are_the_same(tmp_path: Path) -> None:
    made = PyTorch(
        "src", entry_script="train.py", node_count=2, distributed_training=PyTorchConfiguration("gloo")
    )
    made.to_yaml(tmp_path / "made.yaml")
    assert definitions.load(made) == definitions.load(made.to_dict()) == made
    assert definitions.load(tmp_path / "made.yaml") == PyTorch.from_dict(made.to_dict()) == made


def test_a_file_of_another_class_is_refused_with_its_line(write: Write) -> None:
    with pytest.raises(DefinitionError, match=r"definition\.yaml:1: type is Estimator but must be PyTorch"):
        PyTorch.from_yaml(write(HEAD))


def test_a_files_source_is_relative_to_the_file_and_an_objects_to_the_base(
    write: Write, tmp_path: Path
) -> None:
    loaded = definitions.load(write(HEAD, "deep/definition.yaml"))
    assert loaded.source_path(tmp_path / "elsewhere") == tmp_path / "deep" / "src"
    assert Estimator("src", entry_script="a.py").source_path(tmp_path) == tmp_path / "src"
    assert Estimator("", entry_script="a.py").source_path(tmp_path) == tmp_path


def test_numbers_may_be_text_since_jinja_renders_text() -> None:
    data = {
        "type": "Estimator", "source_directory": "src", "entry_script": "train.py", "node_count": "2",
        "distributed_training": {"type": "mpi", "process_count_per_node": "2"}, "cpu": "1.5", "gpu": "1",
        "use_docker": "True", "grace_seconds": "5", "max_run_duration_seconds": "60", "memory": "1073741824",
    }  # fmt: skip
    job = definitions.load(data).normalized()
    assert (job.node_count, job.process_count_per_node, job.cpu, job.gpu) == (2, 2, 1.5, 1)
    assert (job.grace_seconds, job.max_run_duration_seconds, job.memory_bytes) == (5, 60, 1 << 30)


def test_templates_wait_for_the_task_and_the_rest_is_checked_at_once(write: Write) -> None:
    data: dict[str, Any] = {
        "type": "Estimator", "source_directory": "src", "entry_script": "train.py", "node_count": "{{ params.n }}",
        "script_params": {"--day": "{{ ds }}"},
    }  # fmt: skip
    assert definitions.as_plain(data) == data
    with pytest.raises(DefinitionError, match="gpu is 'two'"):
        definitions.as_plain({**data, "gpu": "two"})
    with pytest.raises(DefinitionError, match=r"node_count is '\{\{ params\.n }}', a template"):
        definitions.load(data)
    definitions.load(write(HEAD + 'node_count: "{{ params.n }}"'))


def test_a_template_left_in_a_file_is_found_with_its_line_when_it_is_to_run(write: Write) -> None:
    loaded = definitions.load(write(HEAD + 'experiment: "{{ dag.dag_id }}"'))
    with pytest.raises(DefinitionError, match=r"definition\.yaml:4: experiment is .* not rendered"):
        loaded.normalized()


def test_xcom_arguments_stay_what_they_are_until_they_are_resolved(reference: Any) -> None:
    made = Estimator(
        "src", entry_script="train.py", script_params={"--x": [1, reference]}, node_count=reference
    )
    plain = definitions.as_plain(made)
    assert plain["node_count"] is reference
    assert plain["script_params"]["--x"][1] is reference
    assert definitions.as_plain(plain)["script_params"]["--x"][1] is reference
    with pytest.raises(DefinitionError, match="an XCom argument that was not resolved"):
        made.normalized()


def test_a_whole_definition_may_be_a_template_or_an_xcom_argument(reference: Any) -> None:
    assert definitions.as_plain(reference) is reference
    assert definitions.as_plain("{{ var.value.file }}") == "{{ var.value.file }}"


def test_plain_data_holds_no_defaults_and_changes_nothing_of_the_object() -> None:
    made = Estimator("src", entry_script="train.py", tags={"a": "b"})
    plain = definitions.as_plain(made)
    plain["tags"]["a"] = "changed"
    assert definitions.as_plain(made) == {
        "type": "Estimator", "source_directory": "src", "entry_script": "train.py", "tags": {"a": "b"},
    }  # fmt: skip


def test_importing_definitions_loads_neither_yaml_nor_metadata(repository: Path) -> None:
    import subprocess
    import sys

    heavy = "{'yaml', 'email', 'fsspec', 'airflow', 'importlib.metadata'}"
    code = f"import sys, airflow_train.definitions; print(sorted({heavy} & set(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
