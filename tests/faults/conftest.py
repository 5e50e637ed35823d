"""What the fault tests share: a laboratory, a source of victims, a table of what they survived."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.victims import Zygote
from tests.targets.lab import Lab


@pytest.fixture
def lab(store_uri: str, tmp_path: Path) -> Iterator[Lab]:
    """Runs on the local target, in a store at an odd path."""
    made = Lab(store_uri, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Where victims come from."""
    made = Zygote(tmp_path_factory.mktemp("cache"))
    yield made
    made.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table: who was killed when, how often, and what became of the runs."""
    reports = [
        one for kind in terminalreporter.stats.values() for one in kind if hasattr(one, "user_properties")
    ]
    rows = sorted({value for one in reports for name, value in one.user_properties if name == "faults"})
    if rows:
        terminalreporter.section("kill -9")
        terminalreporter.write_line(f"{'victim, phase':<48}{'kills':>6}{'starts':>8}  outcomes")
    for row in rows:
        found = json.loads(row)
        outcomes = ", ".join(f"{count} {what}" for what, count in sorted(found["outcomes"].items()))
        terminalreporter.write_line(f"{found['what']:<48}{found['kills']:>6}{found['starts']:>8}  {outcomes}")
