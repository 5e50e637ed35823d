"""Checks that touch the source directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train import definitions
from airflow_train.definitions import Estimator, ScriptRunConfig
from airflow_train.exceptions import DefinitionError

Write = Callable[..., Path]


@pytest.fixture
def source(write: Write, tmp_path: Path) -> Path:
    write("print('training')", "src/train.py")
    write("numpy", "src/requirements.txt")
    write("dependencies: [python]", "src/conda.yml")
    return tmp_path


def problems(base: Path, folder: str = "src", entry_script: str = "train.py", **parameters: Any) -> list[str]:
    try:
        definitions.check_files(Estimator(folder, entry_script=entry_script, **parameters), base)
    except DefinitionError as error:
        return list(error.problems)
    return []


def test_files_that_are_there_are_fine(source: Path) -> None:
    assert problems(source, pip_requirements_file="requirements.txt") == []
    assert problems(source, conda_dependencies_file="conda.yml") == []
    definitions.check_files(ScriptRunConfig("src", "train.py"), source)
    definitions.check_files(ScriptRunConfig("src", command="true"), source)


def test_a_missing_folder_names_the_one_that_was_meant(source: Path) -> None:
    (said,) = problems(source, "scr")
    assert "source_directory is 'scr' but there is no folder" in said
    assert said.endswith("did you mean src?")


def test_a_source_that_is_a_file_is_refused(source: Path) -> None:
    (said,) = problems(source, "src/train.py")
    assert "is a file, but must be a folder" in said


def test_a_missing_script_names_the_one_that_was_meant(source: Path) -> None:
    (said,) = problems(source, entry_script="trian.py")
    assert "entry_script is 'trian.py' but there is no such file" in said
    assert said.endswith("did you mean train.py?")


def test_a_script_in_another_folder_is_found(source: Path, write: Write) -> None:
    write("", "src/deep/model.py")
    (said,) = problems(source, entry_script="model.py")
    assert said.endswith("did you mean deep/model.py?")


def test_a_script_has_no_slash_at_its_end(source: Path) -> None:
    (said,) = problems(source, entry_script="train.py/")
    assert "has a slash at its end" in said


def test_a_folder_is_no_script(source: Path) -> None:
    (source / "src" / "package").mkdir()
    (said,) = problems(source, entry_script="package")
    assert "which is a folder, but must be a file" in said


def test_a_link_out_of_the_source_is_refused(source: Path, write: Write) -> None:
    (source / "src" / "link.py").symlink_to(write("", "outside.py"))
    (said,) = problems(source, entry_script="link.py")
    assert "must lie in the source directory" in said


def test_all_missing_files_are_said_at_once_with_their_lines(source: Path, write: Write) -> None:
    text = "type: Estimator\nsource_directory: src\nentry_script: a.py\npip_requirements_file: b.txt\n"
    file = write(text)
    with pytest.raises(DefinitionError) as caught:
        definitions.check_files(definitions.load(file))
    assert [one.split(": ")[0] for one in caught.value.problems] == [f"{file}:3", f"{file}:4"]


def test_a_requirements_file_is_read(source: Path, write: Write) -> None:
    file = write("numpy\n-e .\n", "src/requirements.txt")
    (said,) = problems(source, pip_requirements_file="requirements.txt")
    assert said.startswith(f"{file}:2: this line is -e ., which can't be honoured")


def test_templates_are_passed_over(source: Path) -> None:
    assert problems(source, "{{ params.folder }}") == []
    assert problems(source, entry_script="{{ params.script }}") == []
