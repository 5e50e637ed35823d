"""What tests of definitions share: files to read, and something that looks like an XCom argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file below the test's folder and returns its path."""

    def written(text: str, name: str = "definition.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(inspect.cleandoc(text) + "\n", encoding="utf-8")
        return path

    return written


class Reference:
    """Known by its shape, as an XCom argument is; this room must not know Airflow."""

    def iter_references(self) -> list[object]:
        """What it refers to."""
        return []

    def resolve(self, context: object) -> object:
        """What it becomes."""
        return context

    def __deepcopy__(self, memo: object) -> Reference:
        raise AssertionError("copying an XCom argument copies its operator")


@pytest.fixture
def reference() -> Reference:
    """An XCom argument that is not resolved yet."""
    return Reference()
