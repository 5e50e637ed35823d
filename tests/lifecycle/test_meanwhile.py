"""A run is shown while it is still being handed over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_train.lifecycle import meanwhile
from airflow_train.lifecycle.observe import View
from airflow_train.store.run_store import open_store
from tests.targets.lab import Lab, until


def test_what_a_run_waits_for_is_shown_before_it_is_handed_over(
    store_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meanwhile, "PAUSE", 0.01)
    store, seen = open_store(store_uri), list[View]()
    spec = replace(Lab(store_uri, tmp_path).spec("pass"), run_id="a-run")
    with meanwhile.shown(store, "a-run", seen.append):  # there is none yet
        store.create(spec)
        store.add_event("a-run", "build", "building an image", "target")
        until(lambda: seen and seen[-1].record.phases[-1].name == "build")

    assert seen[-1].status == "Preparing"
