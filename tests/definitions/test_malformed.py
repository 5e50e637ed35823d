"""Every malformed definition file is answered by one sentence per mistake: file, line, finding, what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_train import definitions
from airflow_train.exceptions import DefinitionError

HEAD = "type: Estimator\nsource_directory: src\nentry_script: train.py\n"

#: After HEAD (so the first line of each is line 4): the mistake, its line, and words that the sentence must say.
MISTAKES: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "node_count is zero": ("node_count: 0", 4, ("node_count is 0", "at least 1", "leave it out")),
    "node_count is negative": ("node_count: -2", 4, ("node_count is -2", "at least 1")),
    "node_count has a leading zero": ("node_count: 010", 4, ("node_count is 010", "write 10")),
    "node_count is hexadecimal": ("node_count: 0x10", 4, ("node_count is 0x10", "whole number")),
    "node_count is sexagesimal": ("node_count: 1:30", 4, ("node_count is 1:30", "whole number")),
    "node_count has underscores": ("node_count: 1_0", 4, ("node_count is 1_0", "whole number")),
    "node_count is a fraction": ("node_count: 1.5", 4, ("node_count is 1.5", "whole number")),
    "node_count is a word": ("node_count: two", 4, ("node_count is two", "whole number")),
    "node_count is a quoted word": ('node_count: "two"', 4, ("node_count is 'two'", "whole number")),
    "node_count is a boolean": ("node_count: true", 4, ("node_count is true", "whole number")),
    "node_count is a list": ("node_count: [2]", 4, ("node_count is", "whole number")),
    "node_count is a mapping": ("node_count: {a: 2}", 4, ("node_count is", "whole number")),
    "processes per node are zero": (
        "process_count_per_node: 0",
        4,
        ("process_count_per_node is 0", "at least 1"),
    ),
    "several nodes without a distribution": ("node_count: 2", 4, ("node_count is 2", "distributed_training")),
    "several processes without a distribution": ("process_count_per_node: 3", 4, ("distributed_training",)),
    "unknown distribution": (
        "distributed_training: {type: mip}",
        4,
        ("mip", "mpi, pytorch, tensorflow or paralleltask", "did you mean"),
    ),
    "distribution without type": (
        "distributed_training: {node_count: 2}",
        4,
        ("distributed_training", "mpi"),
    ),
    "distribution is a number": ("distributed_training: 3", 4, ("distributed_training", "mpi")),
    "distribution is a list": ("distributed_training: [mpi]", 4, ("distributed_training", "mpi")),
    "unknown key of the distribution": (
        "distributed_training:\n  type: mpi\n  node_cuont: 2",
        6,
        ("node_cuont", "did you mean node_count?"),
    ),
    "number of the distribution is wrong": (
        "distributed_training:\n  type: pytorch\n  node_count: none",
        6,
        ("distributed_training.node_count is none", "whole number"),
    ),
    "unknown communication backend": (
        "distributed_training: {type: pytorch, communication_backend: mpi}",
        4,
        ("communication_backend is mpi", "Nccl or Gloo"),
    ),
    "processes don't divide over the nodes": (
        "distributed_training: {type: pytorch, node_count: 2, process_count: 3}",
        4,
        ("process_count is 3", "multiple"),
    ),
    "two node counts that disagree": (
        "node_count: 2\ndistributed_training: {type: mpi, node_count: 3}",
        4,
        ("node_count is 2", "distributed_training.node_count is 3"),
    ),
    "two process counts that disagree": (
        "process_count_per_node: 2\ndistributed_training: {type: pytorch, process_count: 3}",
        4,
        ("process_count_per_node is 2", "distributed_training.process_count"),
    ),
    "conda variables": (
        "environment_definition:\n  name: e\n  python:\n    conda_dependencies: {variables: {A: b}}",
        7,
        ("variables of a conda file", "environment_variables"),
    ),
    "a build context": (
        "environment_definition:\n  name: e\n  docker: {build_context: docker}",
        6,
        ("build_context", "base_dockerfile"),
    ),
    "yes is no boolean": ("use_gpu: yes", 4, ("use_gpu is yes", "true or false")),
    "on is no boolean": ("user_managed: on", 4, ("user_managed is on", "true or false")),
    "1 is no boolean": ("use_docker: 1", 4, ("use_docker is 1", "true or false")),
    "gpu is none but one is used": ("use_gpu: true\ngpu: 0", 5, ("gpu is 0", "use_gpu")),
    "gpu is negative": ("gpu: -1", 4, ("gpu is -1", "at least 0")),
    "cpu is zero": ("cpu: 0", 4, ("cpu is 0", "above 0")),
    "cpu is not finite": ("cpu: .inf", 4, ("cpu is .inf", "finite number")),
    "cpu is no number": ("cpu: many", 4, ("cpu is many", "number")),
    "memory has no unit that exists": ("memory: 2XB", 4, ("memory is 2XB", "2GB")),
    "memory counts bytes": ("memory: 2", 4, ("memory is 2", "bytes")),
    "memory is negative": ("memory: -2GB", 4, ("memory is -2GB", "amount of memory")),
    "memory is a list": ("memory: [2GB]", 4, ("memory is", "amount of memory")),
    "shm_size is a word": ("shm_size: big", 4, ("shm_size is big", "amount of memory")),
    "time limit is zero": ("max_run_duration_seconds: 0", 4, ("max_run_duration_seconds is 0", "at least 1")),
    "time limit is a duration": (
        "max_run_duration_seconds: 1h",
        4,
        ("max_run_duration_seconds is 1h", "whole number"),
    ),
    "grace is negative": ("grace_seconds: -1", 4, ("grace_seconds is -1", "at least 0")),
    "experiment has a dot": (
        "experiment: my.experiment",
        4,
        ("experiment is my.experiment", "letters, digits"),
    ),
    "experiment begins with a dash": ("experiment: -a", 4, ("experiment is -a", "letter")),
    "experiment is a list": ("experiment: [a]", 4, ("experiment is",)),
    "packages are one text": ("pip_packages: numpy", 4, ("pip_packages is numpy", "a list")),
    "packages are a mapping": ("pip_packages: {numpy: 1}", 4, ("pip_packages is", "a list")),
    "one package is a mapping": ("pip_packages:\n  - numpy\n  - scipy: 1", 6, ("pip_packages[1]", "text")),
    "one package is empty": ("pip_packages:\n  - numpy\n  -", 6, ("pip_packages[1] is empty",)),
    "script parameters are a list": ("script_params: [--lr, 0.1]", 4, ("script_params", "mapping")),
    "script parameters are a text": ("script_params: --lr 0.1", 4, ("script_params is --lr 0.1", "mapping")),
    "one script parameter is a mapping": ("script_params:\n  --lr:\n    a: 1", 5, ("--lr", "list of values")),
    "a list of script parameters has a hole": ("script_params:\n  --l:\n    - 1\n    -", 7, ("--l", "empty")),
    "environment variables are a list": (
        "environment_variables: [A=1]",
        4,
        ("environment_variables", "mapping"),
    ),
    "an environment variable is empty": (
        "environment_variables:\n  A:",
        5,
        ("environment_variables.A is empty", '""'),
    ),
    "an environment variable is a list": (
        "environment_variables:\n  A: [1]",
        5,
        ("environment_variables.A",),
    ),
    "a variable's name has an equals sign": ("environment_variables:\n  A=B: 1", 5, ("A=B", "name")),
    "tags are a text": ("tags: nightly", 4, ("tags is nightly", "mapping")),
    "inputs are a text": ("inputs: data", 4, ("inputs is data", "list")),
    "compute target has no type": (
        "compute_target: {image: a}",
        4,
        ("compute_target has no type", "add type"),
    ),
    "compute target is a list": ("compute_target: [local]", 4, ("compute_target is", "a name")),
    "compute target is an empty text": ('compute_target: ""', 4, ("compute_target is ''",)),
    "image without docker": (
        "use_docker: false\ncustom_docker_image: a",
        5,
        ("custom_docker_image", "use_docker is false"),
    ),
    "environment and packages": (
        "environment_definition: {name: e}\npip_packages: [numpy]",
        5,
        ("pip_packages", "environment_definition"),
    ),
    "environment and variables": (
        "environment_definition: {name: e}\nenvironment_variables: {A: b}",
        5,
        ("environment_variables", "environment_definition"),
    ),
    "environment without a name": (
        "environment_definition: {}",
        4,
        ("environment_definition.name is missing",),
    ),
    "environment with a reserved name": (
        "environment_definition: {name: AzureML-x}",
        4,
        ("AzureML-x", "reserved"),
    ),
    "environment is a text": ("environment_definition: e", 4, ("environment_definition is e",)),
    "unknown section key": (
        "environment_definition:\n  name: e\n  docker:\n    base_imag: a",
        7,
        ("base_imag", "did you mean base_image?"),
    ),
    "image and Dockerfile": (
        "environment_definition: {name: e, docker: {base_image: a, base_dockerfile: FROM b}}",
        4,
        ("base_image", "base_dockerfile"),
    ),
    "unknown key of a conda file": (
        "environment_definition: {name: e, python: {conda_dependencies: {dependecies: []}}}",
        4,
        ("dependecies", "did you mean dependencies?"),
    ),
    "conda file and packages": (
        "conda_dependencies_file: c.yml\npip_packages: [numpy]",
        5,
        ("pip_packages", "conda_dependencies_file"),
    ),
    "user managed and packages": (
        "user_managed: true\npip_packages: [numpy]",
        5,
        ("pip_packages", "user_managed"),
    ),
    "requirements outside the source directory": (
        "pip_requirements_file: ../requirements.txt",
        4,
        ("../requirements.txt", "source_directory"),
    ),
    "literal registry password": (
        "image_registry_details:\n  password: hunter2",
        5,
        ("password", "reference", "connection:NAME"),
    ),
    "templated registry password": (
        'image_registry_details:\n  password: "{{ conn.r.password }}"',
        5,
        ("password", "reference"),
    ),
    "unknown parameter": ("tag: {a: b}", 4, ("tag", "did you mean tags?")),
    "parameter of another class": ("command: ls", 4, ("command", "Estimator")),
    "key stands twice": ("experiment: a\nexperiment: b", 5, ("experiment", "line 4")),
    "nested key stands twice": ("tags:\n  a: 1\n  a: 2", 6, ("a ", "line 5")),
}

#: Whole files: the text, the line, and words that the sentence must say.
FILES: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "empty file": ("", 1, ("empty", "type: Estimator")),
    "only a comment": ("# nothing\n", 1, ("empty", "type: Estimator")),
    "a list": ("- type: Estimator\n", 1, ("list", "mapping")),
    "a single value": ("Estimator\n", 1, ("mapping",)),
    "no type": ("source_directory: src\nentry_script: train.py\n", 1, ("type is missing", "Estimator")),
    "misspelt type": (
        "type: Estimater\nsource_directory: src\n",
        1,
        ("Estimater", "did you mean Estimator?"),
    ),
    "unknown type": ("source_directory: src\ntype: 17\n", 2, ("type is 17", "PyTorch")),
    "type is a list": ("type: [Estimator]\n", 1, ("type is",)),
    "no source directory": ("type: Estimator\nentry_script: a.py\n", 1, ("source_directory is missing",)),
    "source directory is a list": (
        "type: Estimator\nsource_directory: [a]\nentry_script: a.py\n",
        2,
        ("source_directory is",),
    ),
    "no entry script": ("type: Estimator\nsource_directory: a\n", 1, ("entry_script is missing",)),
    "misspelt entry script": (
        "type: Estimator\nsource_directory: a\nentry_scrpt: a.py\n",
        3,
        ("entry_scrpt", "did you mean entry_script?"),
    ),
    "absolute entry script": (
        "type: Estimator\nsource_directory: a\nentry_script: /a.py\n",
        3,
        ("/a.py", "relative"),
    ),
    "entry script outside": (
        "type: Estimator\nsource_directory: a\nentry_script: ../a.py\n",
        3,
        ("../a.py", "below"),
    ),
    "nodes for scikit-learn": (
        "type: SKLearn\nsource_directory: a\nentry_script: a.py\nnode_count: 1\n",
        4,
        ("SKLearn", "node_count"),
    ),
    "GPU for scikit-learn": (
        "type: SKLearn\nsource_directory: a\nentry_script: a.py\nuse_gpu: false\n",
        4,
        ("SKLearn", "use_gpu"),
    ),
    "TensorFlow for PyTorch": (
        "type: PyTorch\nsource_directory: a\nentry_script: a.py\ndistributed_training: tensorflow\n",
        4,
        ("tensorflow", "mpi, pytorch or paralleltask"),
    ),
    "script run without a script": (
        "type: ScriptRunConfig\nsource_directory: a\n",
        1,
        ("script is missing", "command"),
    ),
    "script and command": (
        "type: ScriptRunConfig\nsource_directory: a\nscript: a.py\ncommand: ls\n",
        3,
        ("script", "command"),
    ),
    "open quotes in arguments": (
        "type: ScriptRunConfig\nsource_directory: a\nscript: a.py\narguments: --name 'x\n",
        4,
        ("arguments is", "quotes"),
    ),
    "run configuration": (
        "type: ScriptRunConfig\nsource_directory: a\nscript: a.py\nrun_config: train\n",
        4,
        ("run_config is train", "RunConfiguration", "mapping"),
    ),
    "estimator's word in a script run": (
        "type: ScriptRunConfig\nsource_directory: a\nentry_script: a.py\n",
        3,
        ("entry_script", "ScriptRunConfig"),
    ),
    "tab": ("type: Estimator\ntags:\n\ta: b\n", 3, ("tab", "spaces")),
    "template without quotes": (HEAD + "experiment: {{ dag.dag_id }}\n", 4, ("quotes",)),
    "open bracket": (HEAD + "pip_packages: [numpy\n", 5, ("YAML",)),
    "open quote": (HEAD + 'experiment: "a\n', 5, ("YAML",)),
    "colon in a value": (HEAD + "experiment: a: b\n", 4, ("YAML",)),
    "broken indentation": (HEAD + "tags:\n  a: b\n c: d\n", 6, ("YAML",)),
    "two documents": (HEAD + "---\n" + HEAD, 4, ("document",)),
    "Python tag": (HEAD + "experiment: !!python/object/apply:os.system [ls]\n", 4, ("tag", "leave it out")),
    "custom tag": (HEAD + "experiment: !secret a\n", 4, ("tag", "!secret")),
    "unknown alias": (HEAD + "experiment: *a\n", 4, ("*a",)),
    "alias of itself": (HEAD + "tags: &a\n  b: *a\n", 5, ("itself",)),
    "list as key": (HEAD + "? [a]\n: b\n", 4, ("name",)),
    "no key": (HEAD + ": b\n", 4, ("YAML",)),
    "merge of no mapping": (HEAD + "<<: a\n", 4, ("<<",)),
    "nested too deep": (HEAD + "inputs: " + "[" * 200 + "]" * 200 + "\n", 4, ("nested", "deeper")),
}


def sentences(path: Path) -> list[str]:
    """What is said about a file; everything else than a DefinitionError fails the test."""
    with pytest.raises(DefinitionError) as caught:
        definitions.load(path).normalized()
    return list(caught.value.problems)


def check(said: list[str], place: str, words: tuple[str, ...]) -> None:
    assert len(said) == 1, said
    assert said[0].startswith(f"{place}: ")
    assert said[0].endswith((".", "?"))
    assert "\n" not in said[0]
    for word in words:
        assert word in said[0]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence_with_its_line(name: str, tmp_path: Path) -> None:
    text, line, words = MISTAKES[name]
    file = tmp_path / "estimator.yaml"
    file.write_text(f"{HEAD}{text}\n", encoding="utf-8")
    check(sentences(file), f"{file}:{line}", words)


@pytest.mark.parametrize("name", FILES)
def test_a_malformed_file_is_one_sentence_with_its_line(name: str, tmp_path: Path) -> None:
    text, line, words = FILES[name]
    file = tmp_path / "estimator.yaml"
    file.write_text(text, encoding="utf-8")
    check(sentences(file), f"{file}:{line}", words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEAD.encode() + b"experiment: caf\xe9\n", ("UTF-8",)),
        (HEAD.encode("utf-16"), ("UTF-8",)),
        (HEAD.encode() + b"experiment: a\0b\n", ("NUL",)),
        (HEAD.encode() + b"experiment: a\x07b\n", ("YAML",)),
        (b"# " + b"x" * 1_000_001, ("larger than",)),
        (b"\x89PNG\r\n\x1a\n\x00\x00", ("UTF-8",)),
    ],
    ids=["latin-1", "utf-16", "NUL", "control character", "too large", "an image"],
)
def test_bytes_that_are_no_text_are_one_sentence(
    content: bytes, words: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "estimator.yaml"
    file.write_bytes(content)
    said = sentences(file)
    assert len(said) == 1
    assert said[0].startswith(f"{file}:")
    assert all(word in said[0] for word in words)


def test_a_missing_file_names_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "estimator.yaml").write_text(HEAD)
    said = sentences(tmp_path / "estimater.yaml")
    assert len(said) == 1
    assert said[0].endswith(f"did you mean {tmp_path / 'estimator.yaml'}?")


def test_a_folder_is_no_definition(tmp_path: Path) -> None:
    said = sentences(tmp_path)
    assert len(said) == 1
    assert "folder" in said[0]


def test_aliases_that_multiply_are_stopped(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    said = sentences(tmp_path / "bomb.yaml")
    assert len(said) == 1
    assert "more than" in said[0]


def test_all_mistakes_of_a_file_are_said_at_once_in_its_order(tmp_path: Path) -> None:
    file = tmp_path / "estimator.yaml"
    file.write_text(f"{HEAD}node_count: 0\nuse_gpu: yes\ntags: a\ntgas: {{}}\nexperiment: a\nexperiment: b\n")
    said = sentences(file)
    assert [one.split(": ")[0] for one in said] == [f"{file}:{line}" for line in (4, 5, 6, 7, 9)]


def test_a_wrong_type_of_distribution_hides_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "estimator.yaml"
    wrong = "distributed_training: {type: smoke, node_cuont: 2}\nuse_gpu: true\ngpu: 0\n"
    file.write_text(HEAD + wrong, encoding="utf-8")
    said = sentences(file)
    assert len(said) == 3
    assert (
        "node_cuont is no parameter of mpi, pytorch, tensorflow or paralleltask; did you mean node_count?"
        in said[0]
    )
    assert "type is smoke" in said[1]
    assert "gpu is 0" in said[2]


def test_a_literal_password_is_never_repeated(tmp_path: Path) -> None:
    file = tmp_path / "estimator.yaml"
    file.write_text(f"{HEAD}image_registry_details: {{address: a, password: hunter2}}\n")
    assert "hunter2" not in "".join(sentences(file))


@pytest.mark.parametrize("value", [None, 3, [], b"a.yaml", object()])
def test_what_is_no_definition_at_all_is_one_sentence(value: object) -> None:
    with pytest.raises(DefinitionError) as caught:
        definitions.load(value)
    assert len(caught.value.problems) == 1
