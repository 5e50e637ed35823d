"""A laboratory per test and target: the same rules are put to every target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_train.targets.local import mpi
from tests.targets.lab import LOCAL, Lab


@pytest.fixture(params=[LOCAL], ids=lambda target: target["type"])
def lab(request: pytest.FixtureRequest, store_uri: str, tmp_path: Path) -> Iterator[Lab]:
    """Runs on one target, in a store at an odd path."""
    made = Lab(store_uri, tmp_path, request.param)
    yield made
    made.close()


@pytest.fixture
def job(mpi_python: str) -> dict[str, Any]:
    """Two nodes with two ranks each."""
    return {
        "distribution": {"type": "mpi"},
        "node_count": 2,
        "process_count_per_node": 2,
        "interpreter_path": mpi_python,
    }


@pytest.fixture
def stand_in(tmp_path: Path, job: dict[str, Any]) -> Callable[[str], None]:
    """Puts a script beside the interpreter in place of the real mpirun."""
    python = str(job["interpreter_path"])
    real = mpi.find(python)
    assert real is not None

    def put(body: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, text in (("mpirun", f"mpirun={real.path}\n{body}"), ("python", f'exec {python} "$@"')):
            (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            (folder / name).chmod(0o755)
        job["interpreter_path"] = str(folder / "python")

    return put
