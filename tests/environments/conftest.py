"""Shared by the tests of environments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_train.store.files import Files


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write(text, name)` makes a file below the test's folder."""

    def written(text: str, name: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return written


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A store of its own."""
    return Files.open(tmp_path / "store")
