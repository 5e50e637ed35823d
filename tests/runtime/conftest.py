"""A laboratory per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.targets.lab import Lab


@pytest.fixture
def lab(store_uri: str, tmp_path: Path) -> Iterator[Lab]:
    """Runs on the local target, in a store at an odd path."""
    made = Lab(store_uri, tmp_path)
    yield made
    made.close()
