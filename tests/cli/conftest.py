"""The command as its users start it, definitions of tiny scripts, and a terminal for Ctrl-C."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def command() -> tuple[str, ...]:
    """What starts `airflow-train` with this interpreter."""
    return sys.executable, "-m", "airflow_train.cli"


@pytest.fixture(autouse=True)
def own_store(store_uri: str) -> None:
    """Each test has a run store of its own, at an odd path."""


@pytest.fixture
def define(tmp_path: Path, sources: Path) -> Callable[..., str]:
    """Writes a definition file of one of the test sources and returns its path."""

    def written(source: str, name: str = "definition.yaml", **parameters: Any) -> str:
        said = {"type": "Estimator", "source_directory": str(sources / source), "entry_script": "train.py"}
        path = tmp_path / name
        path.write_text(yaml.safe_dump({**said, **parameters}), encoding="utf-8")
        return str(path)

    return written


class Answer:
    """What a command said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        assert not re.search("^Traceback", self.err, re.MULTILINE), self.err

    @property
    def data(self) -> Any:
        """The whole of standard output as one JSON document, without NaN, which JSON doesn't know."""
        return json.loads(self.out, parse_constant=pytest.fail)


@pytest.fixture
def cli(command: tuple[str, ...]) -> Callable[..., Answer]:
    """Carries out one command line in a process of its own."""

    def run(*args: str, **options: Any) -> Answer:
        return Answer(
            subprocess.run(
                [*command, *args], capture_output=True, text=True, timeout=90, check=False, **options
            )
        )

    return run
