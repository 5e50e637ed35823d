"""`.runconfig` files: the Azure ML SDK's load, what can't be honoured is said by name and line, ours read back."""

from __future__ import annotations

import pickle
import shutil
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_train import definitions
from airflow_train.definitions import (
    CondaDependencies,
    DockerConfiguration,
    Environment,
    MpiConfiguration,
    PyTorchConfiguration,
    RunConfiguration,
    ScriptRunConfig,
    TensorflowConfiguration,
)
from airflow_train.exceptions import DefinitionError

SDK = Path(__file__).parent / "azureml_sdk_1_61.runconfig"
#: What the SDK writes into `conda_dependencies.yml` when nobody has asked for a package.
OWN_PACKAGES = """
name: project_environment
dependencies:
- python=3.8.13
- pip:
  - azureml-defaults
channels:
- anaconda
- conda-forge
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with `.azureml/sdk.runconfig` as the SDK saves a `RunConfiguration(script="train.py")`."""
    folder = tmp_path / ".azureml"
    folder.mkdir()
    shutil.copy(SDK, folder / "sdk.runconfig")
    (folder / "conda_dependencies.yml").write_text(OWN_PACKAGES)
    return tmp_path


@pytest.fixture
def change(project: Path) -> Callable[..., Path]:
    """Replaces one line of the SDK's file, found by its beginning; returns the file."""

    def changed(old: str, new: str) -> Path:
        file = project / ".azureml" / "sdk.runconfig"
        lines = file.read_text().splitlines()
        number = next(number for number, line in enumerate(lines) if line.startswith(old))
        lines[number] = new
        file.write_text("\n".join(lines) + "\n")
        return file

    return changed


def loaded(project: Path, name: str = "sdk") -> RunConfiguration:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RunConfiguration.load(project, name)


def job(made: Any) -> Any:
    return definitions.load(made).normalized()


def refusal(file: Path) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DefinitionError) as caught:
            job(file)
    return list(caught.value.problems)


def test_a_file_of_the_sdk_asks_for_what_its_author_chose_and_nothing_else(project: Path) -> None:
    made = job(loaded(project))
    assert (made.entry_script, made.arguments) == ("train.py", ["--lr", "0.1"])
    assert made.source_directory == str(project)
    assert made.compute_target == "local"
    assert (made.distribution, made.environment, made.shm_size, made.interpreter_path) == (
        None,
        {},
        None,
        None,
    )
    assert made.max_run_duration_seconds is None


def test_what_the_sdk_writes_of_itself_is_said_once_with_its_line(project: Path) -> None:
    file = project / ".azureml" / "sdk.runconfig"
    with pytest.warns(UserWarning, match="Azure ML") as seen:
        RunConfiguration.load(project, "sdk")
    assert [str(one.message).partition(" ")[0] for one in seen] == [f"{file}:19:", f"{file}:23:"]
    assert "python=3.8.13, azureml-defaults) aren't installed" in str(seen[0].message)
    assert "environment.docker.baseImage has no effect" in str(seen[1].message)
    assert seen[0].filename == __file__


@pytest.mark.parametrize(
    ("communicator", "section", "count", "distribution"),
    [
        (
            "OpenMpi",
            "mpi",
            "processCountPerNode: 2",
            {"type": "mpi", "node_count": 2, "process_count_per_node": 2},
        ),
        (
            "IntelMpi",
            "mpi",
            "processCountPerNode: 2",
            {"type": "mpi", "node_count": 2, "process_count_per_node": 2},
        ),
        (
            "Gloo",
            "pytorch",
            "processCount: 4",
            {"type": "pytorch", "communication_backend": "Gloo", "process_count": 4, "node_count": 2},
        ),
        (
            "ParameterServer",
            "tensorflow",
            "workerCount: 2",
            {"type": "tensorflow", "worker_count": 2, "parameter_server_count": 1},
        ),
        (
            "ParallelTask",
            "paralleltask",
            "workerCountPerNode: 3",
            {
                "type": "paralleltask",
                "worker_count_per_node": 3,
                "max_retries_per_worker": 0,
                "terminal_exit_codes": [],
            },
        ),
    ],
)
def test_communicator_and_section_become_a_distribution(
    communicator: str, section: str, count: str, distribution: Any, change: Any, project: Path
) -> None:
    change("communicator:", f"communicator: {communicator}")
    change("nodeCount:", "nodeCount: 2")
    change(f"  {count.partition(':')[0]}:", f"  {count}")
    made = job(loaded(project))
    assert (made.node_count, made.distribution) == (2, distribution)
    assert section in ("mpi", "pytorch", "tensorflow", "paralleltask")


#: The line of the SDK's file, what its author writes there instead, and words that the refusal must say.
REFUSED = {
    "data references": (
        "dataReferences:",
        "dataReferences: {d: {dataStoreName: s}}",
        ("dataReferences", "path or URI"),
    ),
    "data": ("data:", "data: {d: {}}", ("data can't be honoured yet",)),
    "outputs on a datastore": ("outputData:", "outputData: {d: {}}", ("outputData", "outputs")),
    "caches": ("datacaches:", "datacaches: [{}]", ("datacaches",)),
    "logins": ("credentialPassthrough:", "credentialPassthrough: true", ("credentialPassthrough", "secrets")),
    "Spark": ("framework:", "framework: PySpark", ("framework is PySpark", "write Python")),
    "unknown framework": ("framework:", "framework: Torch", ("framework is Torch", "did you mean PyTorch?")),
    "unknown communicator": ("communicator:", "communicator: Ncll", ("communicator is Ncll", "Nccl")),
    "nodes without a communicator": ("nodeCount:", "nodeCount: 2", ("nodeCount is 2", "communicator")),
    "no node": ("nodeCount:", "nodeCount: 0", ("nodeCount is 0", "at least 1")),
    "unknown key": ("nodeCount:", "nodeCuont: 1", ("nodeCuont", "did you mean nodeCount?")),
    "unknown key inside": (
        "  processCountPerNode:",
        "  processCount: 1",
        ("processCount", "processCountPerNode"),
    ),
    "no conda file": (
        "    condaDependenciesFile:",
        "    condaDependenciesFile: .azureml/conda.yml",
        ("condaDependenciesFile is .azureml/conda.yml", "no such file"),
    ),
    "a registered environment": (
        "environment:",
        "environment: {name: mine, version: 3}",
        ("environment is only a name, mine", "registered", "sections"),
    ),
    "no environment file": (
        "environment:",
        "environment: env.yml",
        ("environment is env.yml", "no such file"),
    ),
    "literal password": ("      password:", "      password: hunter2", ("password", "(not shown)")),
    "build context": (
        "    buildContext:",
        "    buildContext: {locationType: git, location: a}",
        ("buildContext.locationType is git", "local or snapshot"),
    ),
    "script outside": ("script:", "script: ../train.py", ("script is ../train.py",)),
    "no script": ("script:", "script:", ("script is missing",)),
    "script and command": ("command:", "command: ls", ("script can't be given when command is given",)),
    "preview": ("script:", "ArgumentVector: [train.py]", ("ArgumentVector", "previews")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_honoured_is_one_sentence_with_name_and_line(name: str, change: Any) -> None:
    old, new, words = REFUSED[name]
    if old == "environment:":  # the section goes with its head
        file = change(old, new)
        head, _, rest = file.read_text().partition(new + "\n")
        rest = rest[rest.index("history:") :]
        file.write_text(f"{head}{new}\n{rest}")
    else:
        file = change(old, new)
    said = refusal(file)
    assert len(said) == 1, said
    number = next((n for n, line in enumerate(file.read_text().splitlines(), 1) if line == new), 0)
    assert said[0].startswith((f"{file}:{number}: ", f"{file}: script is missing", f"{file}:1: script can't"))
    assert all(word in said[0] for word in words), said
    assert "hunter2" not in said[0]


WARNED = {
    "priority": ("priority:", "priority: 3", "priority has no effect"),
    "machines": ("  vmSize:", "  vmSize: STANDARD_D2", "vm_size has no effect: the compute target decides"),
    "history": ("  snapshotProject:", "  snapshotProject: false", "every run are kept"),
    "endpoints": ("applicationEndpoints:", "applicationEndpoints: {a: {type: SSH}}", "has no effect"),
    "an old container": ("    enabled:", "    enabled: true", "enabled has no effect"),
    "an unused section": (
        "  processCountPerNode:",
        "  processCountPerNode: 4",
        "mpi has no effect: communicator is None",
    ),
}


@pytest.mark.parametrize("name", WARNED)
def test_what_has_no_effect_is_one_warning_with_its_line(name: str, change: Any) -> None:
    old, new, words = WARNED[name]
    file = change(old, new)
    number = file.read_text().splitlines().index(new) + 1
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        RunConfiguration.load(file)
    said = [str(one.message) for one in seen if " Azure ML" not in str(one.message)]
    assert len(said) == 1
    assert words.replace("vm_size", "vmSize") in said[0]
    assert said[0].startswith((f"{file}:{number}: ", f"{file}:{number - 1}: "))


def test_packages_of_the_conda_file_are_asked_for(project: Path) -> None:
    with (project / ".azureml" / "conda_dependencies.yml").open("a") as file:
        file.write("- nvidia\n")
    assert job(loaded(project)).environment["conda_channels"] == ["anaconda", "conda-forge", "nvidia"]


def test_a_mistake_in_the_conda_file_names_that_file(project: Path) -> None:
    conda = project / ".azureml" / "conda_dependencies.yml"
    conda.write_text("dependencies:\n- numpy\nchanels: [a]\n")
    said = refusal(project / ".azureml" / "sdk.runconfig")
    assert said == [f"{conda}:3: chanels is no key of a conda file; did you mean channels?"]


def test_an_environment_may_lie_in_a_file_of_its_own(project: Path, change: Any) -> None:
    file = project / ".azureml" / "sdk.runconfig"
    data = yaml.safe_load(file.read_text())
    (project / ".azureml" / "environment.yml").write_text(yaml.safe_dump(data["environment"]))
    file.write_text(yaml.safe_dump({**data, "environment": ".azureml/environment.yml"}))
    assert loaded(project).environment.environment_variables == {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}
    (project / ".azureml" / "environment.yml").write_text("nam: e\n")
    assert refusal(file) == [
        f"{project}/.azureml/environment.yml:1: nam is no parameter of Environment; did you mean name?"
    ]


@pytest.mark.parametrize("folder", [".azureml", "aml_config", "."])
@pytest.mark.parametrize("written", ["train", "train.runconfig"])
def test_a_file_is_found_by_name_with_or_without_suffix(folder: str, written: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / written).write_text("script: a.py\nenvironment: {python: {}}\n")
    if folder != "." or written != "train":
        assert RunConfiguration.load(tmp_path, "train").script == "a.py"


def test_a_missing_file_names_the_one_that_was_meant(project: Path) -> None:
    with pytest.raises(DefinitionError, match=r"name is 'sdkk' but .*; did you mean sdk\?"):
        RunConfiguration.load(project, "sdkk")
    with pytest.raises(DefinitionError, match=r"name is missing .*; name one of sdk\.runconfig"):
        RunConfiguration.load(project)


def whole() -> RunConfiguration:
    made = RunConfiguration("train.py", ["--lr", 0.1], "PyTorch", "Nccl")
    made.target, made.node_count, made.max_run_duration_seconds = "gpus", 2, 60
    made.pytorch.process_count = 4
    made.environment = Environment("e", environment_variables={"A": "b"})
    made.environment.python.conda_dependencies.add_pip_package("torch")
    made.environment.docker.base_image = "python:3.12"
    made.environment.docker.platform = "linux/arm64"
    made.environment_variables = {"C_D": "e f"}
    made.docker = DockerConfiguration(use_docker=True, shm_size="4g")
    return made


@pytest.mark.parametrize(
    ("docker", "written"),
    [
        (
            {"build_context": {"location": "docker", "dockerfile_path": "gpu.Dockerfile"}},
            {"buildContext": {"location": "docker", "dockerfilePath": "gpu.Dockerfile"}},
        ),
        ({"base_dockerfile": "FROM a\nRUN b\n"}, {"baseDockerfile": "FROM a\nRUN b\n"}),
        (
            {"base_image": "i", "base_image_registry": {"address": "r.example", "password": "env:P"}},
            {"baseImage": "i", "baseImageRegistry": {"address": "r.example", "password": "env:P"}},
        ),
        ({"apt_packages": ["git"]}, {"aptPackages": ["git"]}),  # our own: Azure ML has no name for it
    ],
)
def test_what_an_image_is_built_from_is_saved_and_read_back(
    docker: dict[str, Any], written: dict[str, Any], tmp_path: Path
) -> None:
    made = RunConfiguration("t.py", environment={"name": "e", "docker": docker})
    made.save(tmp_path, "train")
    said = yaml.safe_load((tmp_path / ".azureml" / "train.runconfig").read_text())
    assert said["environment"]["docker"] == written
    assert RunConfiguration.load(tmp_path, "train") == made


@pytest.mark.parametrize("apart", [False, True])
def test_what_is_saved_reads_back_equal(apart: bool, tmp_path: Path) -> None:
    made = whole()
    made.save(tmp_path, "train", separate_environment_yaml=apart)
    said = yaml.safe_load((tmp_path / ".azureml" / "train.runconfig").read_text())
    assert said["nodeCount"] == 2
    assert said["environmentVariables"] == {"C_D": "e f"}
    assert (tmp_path / ".azureml" / "environment.yml").exists() is apart
    assert CondaDependencies(tmp_path / ".azureml" / "conda_dependencies.yml") == (
        made.environment.python.conda_dependencies
    )
    assert RunConfiguration.load(tmp_path, "train") == made
    RunConfiguration.delete(tmp_path, "train")
    assert not (tmp_path / ".azureml" / "train.runconfig").exists()


def test_two_configurations_of_a_project_keep_their_own_packages(tmp_path: Path) -> None:
    for name in ("first", "second"):
        conda = CondaDependencies.create(pip_packages=[name])
        RunConfiguration("a.py", conda_dependencies=conda).save(tmp_path, name)
    for name in ("first", "second"):
        environment = RunConfiguration.load(tmp_path, name).environment
        assert list(environment.python.conda_dependencies.pip_packages) == [name]


@pytest.mark.parametrize("name", ["../a", "a/b", "", "a\nb", "a\0", "-a", ".a", "\x1b[31m", None])
def test_a_name_that_is_no_file_name_is_refused_and_writes_nothing(name: Any, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="RunConfiguration: name is "):
        RunConfiguration("a.py").save(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_beside_a_run_config_other_parameters_are_ignored_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="has no effect: run_config is given") as seen:
        made = ScriptRunConfig(
            "src",
            run_config=whole(),
            compute_target="elsewhere",
            environment=Environment("x"),
            distributed_job_config=MpiConfiguration(3),
            max_run_duration_seconds=5,
            docker_runtime_config=DockerConfiguration(),
        )
    assert len(seen) == 5
    made_job = job(made)
    assert made_job.compute_target == "gpus"
    assert (made_job.node_count, made_job.process_count_per_node) == (2, 2)
    assert made_job.max_run_duration_seconds == 60
    assert made_job.environment["name"] == "e"
    assert made_job.environment_variables == {"A": "b", "C_D": "e f"}
    assert made_job.shm_size == "4g"


def test_script_and_arguments_given_here_win_over_those_of_the_run_config() -> None:
    with pytest.warns(UserWarning, match="given here and in run_config; this one is used") as seen:
        made = ScriptRunConfig("src", script="other.py", arguments=["-x"], run_config=whole())
    assert len(seen) == 2
    assert (job(made).entry_script, job(made).arguments) == ("other.py", ["-x"])
    silent = ScriptRunConfig("src", run_config=whole())
    assert (job(silent).entry_script, job(silent).arguments) == ("train.py", ["--lr", "0.1"])


def test_a_command_and_a_script_contradict_each_other_wherever_they_stand() -> None:
    with pytest.raises(DefinitionError, match="script can't be given when command is given"):
        ScriptRunConfig("src", command="ls", run_config=RunConfiguration("train.py"))


def test_a_run_config_in_a_yaml_file_has_our_names_and_the_line_of_every_mistake(write: Any) -> None:
    file = write("""
        type: ScriptRunConfig
        source_directory: src
        run_config:
          script: train.py
          communicator: OpenMpi
          node_count: 2
          mpi: {process_count_per_node: 2}
    """)
    made = definitions.load(file)
    assert made.normalized().distribution == {"type": "mpi", "node_count": 2, "process_count_per_node": 2}
    assert definitions.load(made.to_dict()) == made
    assert deepcopy(made) == pickle.loads(pickle.dumps(made)) == made
    file.write_text(file.read_text().replace("node_count: 2", "node_count: 0"))
    assert refusal(file) == [
        f"{file}:6: run_config.node_count is 0 but must be at least 1; leave it out to run on one node."
    ]


def test_sections_are_there_to_be_filled_in_as_in_the_original() -> None:
    made = RunConfiguration()
    made.script, made.framework, made.communicator = "train.py", "python", "ParameterServer"
    made.tensorflow.worker_count = 3
    made.environment.python.user_managed_dependencies = True
    assert made.training() == TensorflowConfiguration(3)
    made.framework, made.communicator = "PyTorch", "Nccl"
    assert made.training() == PyTorchConfiguration()
    with pytest.warns(UserWarning, match="vm_size has no effect"):
        made.amlcompute.vm_size = "STANDARD_D2"


def test_a_run_configuration_of_no_project_says_what_it_lacks() -> None:
    with pytest.raises(DefinitionError, match=r"doesn't say in which folder .* write ScriptRunConfig"):
        definitions.load(RunConfiguration("train.py"))


def test_a_file_of_a_project_is_a_definition_with_and_without_suffix(project: Path) -> None:
    file = project / ".azureml" / "sdk.runconfig"
    shutil.copy(file, file.with_suffix(""))
    for path in (file, file.with_suffix("")):
        with pytest.warns(UserWarning, match="Azure ML"):
            made = definitions.load(path)
        assert isinstance(made, ScriptRunConfig)
        assert made.source_path() == project


def test_a_file_is_found_without_its_suffix(project: Path) -> None:
    with pytest.warns(UserWarning, match="Azure ML"):
        assert definitions.load(project / ".azureml" / "sdk").source_path() == project


def test_where_the_old_folder_is_there_it_is_written_and_read_before_the_new_one(tmp_path: Path) -> None:
    for folder in ("aml_config", ".azureml"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.runconfig").write_text(f"script: {folder.strip('.')}.py\n")
    assert RunConfiguration.load(tmp_path, "train").script == "aml_config.py"
    RunConfiguration("new.py").save(tmp_path, "train")
    assert RunConfiguration.load(tmp_path, "train").script == "new.py"
    assert "azureml.py" in (tmp_path / ".azureml" / "train.runconfig").read_text()


def test_a_name_for_a_folder_that_is_not_there_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        DefinitionError, match=r"name is 'mine' for the folder '.*proj', which isn't there; make it"
    ):
        RunConfiguration().save(tmp_path / "proj", "mine")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("use", [RunConfiguration.load, RunConfiguration().save, RunConfiguration.delete])
def test_what_is_no_path_is_one_sentence(use: Any) -> None:
    for path in (5, b"a", ["a"], object()):
        with pytest.raises(DefinitionError, match=r"path is .* but must be a path"):
            use(path, "train")
