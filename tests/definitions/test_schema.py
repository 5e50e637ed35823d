"""The JSON schema for editors says what the classes say: same parameters, same defaults, and valid files pass."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from airflow_train import definitions
from airflow_train.exceptions import DefinitionError

CLASSES = [
    definitions.Estimator,
    definitions.PyTorch,
    definitions.TensorFlow,
    definitions.Chainer,
    definitions.SKLearn,
    definitions.ScriptRunConfig,
    definitions.Environment,
    definitions.MpiConfiguration,
    definitions.PyTorchConfiguration,
    definitions.TensorflowConfiguration,
    definitions.ParallelTaskConfiguration,
    definitions.RunConfiguration,
    definitions.ContainerRegistry,
    definitions.DockerConfiguration,
    definitions.DockerBuildContext,
]
RUNNABLE = CLASSES[:6]

VALID = {
    "the least": "type: Estimator\nsource_directory: src\nentry_script: train.py\n",
    "the whole": """
        type: Estimator
        experiment: digits
        source_directory: src
        entry_script: train.py
        compute_target: {type: docker, image: "python:3.12", privileged: false}
        script_params: {--lr: 0.1, --id: "010", --at: "12:30", --verbose: , --layers: [64, 32]}
        node_count: 2
        distributed_training: {type: mpi, process_count_per_node: 2}
        environment_variables: {OMP_NUM_THREADS: 1, DEBUG: false, NAME: x}
        pip_packages: [numpy, "scipy>=1.11"]
        image_registry_details: {address: r.example.com, username: me, password: "connection:registry"}
        custom_docker_image: r.example.com/train:1
        memory: 2GB
        shm_size: 1g
        cpu: 1.5
        gpu: 1
        tags: {team: vision, year: 2026}
        grace_seconds: 5
        max_run_duration_seconds: 3600
    """,
    "an image of its own": """
        type: ScriptRunConfig
        source_directory: src
        script: train.py
        environment:
          name: e
          docker: {build_context: {location: docker}, apt_packages: [git, "libgomp1=12.2.0-14+deb12u1"]}
    """,
    "a registered environment": """
        type: ScriptRunConfig
        source_directory: src
        script: train.py
        environment: digits:3
    """,
    "a registered environment of an estimator": """
        type: Estimator
        source_directory: src
        entry_script: train.py
        environment_definition: digits
        tags: {a: b}
    """,
    "PyTorch": """
        type: PyTorch
        source_directory: src
        entry_script: train.py
        framework_version: 2.4
        distributed_training: {type: pytorch, communication_backend: Gloo, process_count: 4, node_count: 2}
    """,
    "TensorFlow": """
        type: TensorFlow
        source_directory: src
        entry_script: train.py
        framework_version: "2.16"
        distributed_training: {type: ParameterServer, worker_count: 2}
    """,
    "Chainer": """
        type: Chainer
        source_directory: src
        entry_script: train.py
        framework_version: 7.0.0
        distributed_training: mpi
        node_count: 2
    """,
    "workers of their own": """
        type: Estimator
        source_directory: src
        entry_script: train.py
        distributed_training: {type: ParallelTask, max_retries_per_worker: 2, terminal_exit_codes: [77, 139]}
    """,
    "a word as distribution": "type: PyTorch\nsource_directory: a\nentry_script: a.py\ndistributed_training: gloo\n",
    "a GPU": "type: PyTorch\nsource_directory: a\nentry_script: a.py\nuse_gpu: true\n",
    "scikit-learn": "type: SKLearn\nsource_directory: a\nentry_script: a.py\nmemory: 1073741824\n",
    "templates": """
        type: Estimator
        source_directory: src
        entry_script: train.py
        node_count: "{{ params.nodes }}"
        use_gpu: "{{ params.gpu }}"
        distributed_training: {type: mpi}
        memory: "{{ params.memory }}"
        experiment: "{{ dag.dag_id }}"
    """,
    "an environment": """
        type: Estimator
        source_directory: src
        entry_script: train.py
        environment_definition:
          name: torch-cpu
          environment_variables: {A: b}
          python:
            conda_dependencies: {channels: [conda-forge], dependencies: [python=3.12, {pip: [torch]}]}
          docker: {base_image: "python:3.12", shm_size: 2g, platform: linux/amd64}
    """,
    "a script run": """
        type: ScriptRunConfig
        source_directory: src
        script: train.py
        arguments: [--lr, 0.1, --verbose]
        environment: {name: e}
        distributed_job_config: {type: tensorflow, worker_count: 2, parameter_server_count: 0}
        docker_runtime_config: {use_docker: true, shm_size: 2g}
    """,
    "a run configuration": """
        type: ScriptRunConfig
        source_directory: src
        run_config:
          script: train.py
          framework: PyTorch
          communicator: gloo
          node_count: 2
          pytorch: {process_count: 4}
          environment: {python: {conda_dependencies: {dependencies: [numpy]}}}
          data_references: {}
          credential_passthrough: false
          history: {output_collection: true}
    """,
    "words in any case": """
        $schema: train.schema.json
        type: pytorch
        source_directory: src
        entry_script: train.py
        distributed_training: {type: PyTorch, communication_backend: gloo}
    """,
    "a word in any case": "type: estimator\nsource_directory: a\nentry_script: a.py\ndistributed_training: MPI\n",
    "a command": "type: ScriptRunConfig\nsource_directory: src\ncommand: python train.py | tee log\n",
}

INVALID = {
    "unknown parameter": "type: Estimator\nsource_directory: a\nentry_script: a.py\nnode_cuont: 2\n",
    "no source": "type: Estimator\nentry_script: a.py\n",
    "no type": "source_directory: a\nentry_script: a.py\n",
    "unknown type": "type: Keras\nsource_directory: a\n",
    "no node": "type: Estimator\nsource_directory: a\nentry_script: a.py\nnode_count: 0\n",
    "a word for a number": "type: Estimator\nsource_directory: a\nentry_script: a.py\nnode_count: two\n",
    "nodes for scikit-learn": "type: SKLearn\nsource_directory: a\nentry_script: a.py\nnode_count: 1\n",
    "literal password": (
        "type: Estimator\nsource_directory: a\nentry_script: a.py\nimage_registry_details: {password: hunter2}\n"
    ),
    "no script": "type: Estimator\nsource_directory: a\n",
    "neither script nor command": "type: ScriptRunConfig\nsource_directory: a\n",
    "an empty command": "type: ScriptRunConfig\nsource_directory: a\ncommand: []\n",
    "conda variables": (
        "type: Estimator\nsource_directory: a\nentry_script: a.py\n"
        "environment_definition: {name: e, python: {conda_dependencies: {variables: {A: b}}}}\n"
    ),
    "a build context": (
        "type: Estimator\nsource_directory: a\nentry_script: a.py\n"
        "environment_definition: {name: e, docker: {build_context: docker}}\n"
    ),
    "data of a run configuration": (
        "type: ScriptRunConfig\nsource_directory: a\nrun_config: {script: a.py, data: {a: {b: c}}}\n"
    ),
    "an exit code that none can be": (
        "type: Estimator\nsource_directory: a\nentry_script: a.py\n"
        "distributed_training: {type: paralleltask, terminal_exit_codes: [256]}\n"
    ),
    "PyTorch for Chainer": (
        "type: Chainer\nsource_directory: a\nentry_script: a.py\nframework_version: '7'\n"
        "distributed_training: {type: pytorch}\n"
    ),
    "unknown distribution": (
        "type: Estimator\nsource_directory: a\nentry_script: a.py\ndistributed_training: {type: smoke}\n"
    ),
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return definitions.json_schema()


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Any:
    return jsonschema.Draft202012Validator(schema)


def write(text: str, folder: Path) -> Path:
    file = folder / "definition.yaml"
    file.write_text(inspect.cleandoc(text) + "\n", encoding="utf-8")
    return file


def test_the_schema_is_one_of_its_draft(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_schema_and_signature_have_the_same_parameters(cls: type, schema: dict[str, Any]) -> None:
    parameters = inspect.signature(cls).parameters
    described = schema["$defs"][cls.__name__]
    assert set(described["properties"]) - {"type", "$schema"} == set(parameters)
    assert described["additionalProperties"] is False
    required = {name for name, one in parameters.items() if one.default is one.empty}
    assert set(described["required"]) - {"type"} == required
    if issubclass(cls, definitions.Runnable):
        assert [one["required"] for one in described["anyOf"]] == [[name] for name in cls.STARTS]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_schema_and_signature_have_the_same_defaults(cls: type, schema: dict[str, Any]) -> None:
    properties = schema["$defs"][cls.__name__]["properties"]
    for name, one in inspect.signature(cls).parameters.items():
        default = None if one.default is one.empty else one.default
        assert properties[name].get("default") == default


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_parameter_is_described_in_schema_and_help(cls: type, schema: dict[str, Any]) -> None:
    for name, described in schema["$defs"][cls.__name__]["properties"].items():
        assert described["description"].strip()
        assert name in ("type", "$schema") or f":param {name}: " in (cls.__doc__ or "")


@pytest.mark.parametrize("name", VALID)
def test_a_valid_file_passes_the_schema_and_the_classes(name: str, validator: Any, tmp_path: Path) -> None:
    file = write(VALID[name], tmp_path)
    assert [str(error.message) for error in validator.iter_errors(yaml.safe_load(file.read_text()))] == []
    definitions.load(file, strict=False)


@pytest.mark.parametrize("name", VALID)
def test_what_a_definition_writes_passes_the_schema_and_reads_back_equal(
    name: str, validator: Any, tmp_path: Path
) -> None:
    loaded = definitions.load(write(VALID[name], tmp_path), strict=False)
    text = loaded.to_yaml(tmp_path / "written.yaml")
    assert [str(error.message) for error in validator.iter_errors(yaml.safe_load(text))] == []
    assert definitions.load(tmp_path / "written.yaml", strict=False) == loaded


@pytest.mark.parametrize("name", INVALID)
def test_what_the_classes_refuse_the_schema_refuses(name: str, validator: Any, tmp_path: Path) -> None:
    file = write(INVALID[name], tmp_path)
    assert list(validator.iter_errors(yaml.safe_load(file.read_text())))
    with pytest.raises(DefinitionError):
        definitions.load(file, strict=False)


@pytest.mark.parametrize("cls", RUNNABLE, ids=lambda cls: cls.__name__)
def test_a_file_may_be_of_any_class_that_can_run(cls: type, schema: dict[str, Any]) -> None:
    assert cls.__name__ in schema["$defs"][cls.__name__]["properties"]["type"]["anyOf"][0]["enum"]
    assert cls.__name__ in json.dumps({key: value for key, value in schema.items() if key != "$defs"})
