"""A laboratory per test and target: the same rules are put to every target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.targets.lab import LOCAL, Lab


@pytest.fixture(params=[LOCAL], ids=lambda target: target["type"])
def lab(request: pytest.FixtureRequest, store_uri: str, tmp_path: Path) -> Iterator[Lab]:
    """Runs on one target, in a store at an odd path."""
    made = Lab(store_uri, tmp_path, request.param)
    yield made
    made.close()
