"""The runtime runs in images we know nothing about: Python 3.8 and its standard library have to be enough."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_train.targets import bundle


def test_the_runtime_imports_the_standard_library_and_itself_only(repository: Path) -> None:
    allowed = {*sys.stdlib_module_names, "train_mpi", "train_run", "train_redaction", "azureml_run"}
    files = sorted(repository.joinpath("airflow_train", "runtime").rglob("*.py"))
    foreign = [
        f"{file.relative_to(repository)}: {name}"
        for file in files
        for name in _imported(file)
        if name.partition(".")[0] not in allowed and not f"{name}.".startswith("airflow_train.runtime.")
    ]
    assert files
    assert foreign == []


@pytest.mark.python38
def test_every_module_of_the_runtime_loads_on_python_38_without_a_warning(
    repository: Path, python38: str, tmp_path: Path
) -> None:
    runtime = tmp_path / "airflow_train" / "runtime"
    shutil.copytree(repository / "airflow_train" / "runtime", runtime)
    runtime.parent.joinpath("__init__.py").touch()
    names = [_dotted(file, tmp_path) for file in runtime.rglob("*.py") if file.stem != "__init__"]
    load = (
        "import importlib, sys; sys.path[:0] = ['airflow_train/runtime/script', '.'];"
        "[importlib.import_module(n) for n in sys.argv[1:]]"
    )

    # -I: neither this virtual environment nor anything installed beside that Python can help out.
    command = [python38, "-I", "-W", "error", "-c", load, *names]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert names
    assert result.returncode == 0, result.stderr


def test_no_rank_waits_for_imports_that_its_supervisor_needs_later_if_at_all(tmp_path: Path) -> None:
    _, archive, _ = bundle.contents()
    (tmp_path / "runtime.pyz").write_bytes(archive)
    late = {"shutil", "socket", "subprocess", "tempfile", "traceback", "typing"}
    ask = (
        "import sys; sys.path.insert(0, 'runtime.pyz'); import airflow_train.runtime.supervisor; "
        f"print(*{late} & sys.modules.keys())"
    )

    command = [sys.executable, "-I", "-S", "-c", ask]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()

    assert found == []


def _imported(file: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def _dotted(file: Path, root: Path) -> str:
    return ".".join(file.relative_to(root).with_suffix("").parts)
