"""A store, a small source directory, and a cache of file facts that is the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_train.store.files import Files
from tests.store.trees import FILES, write


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/airflow-train/snapshots"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files.open(tmp_path / "a store")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "my source", FILES)
