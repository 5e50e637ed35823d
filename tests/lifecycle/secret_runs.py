"""What tests of secrets share: runs whose definition refers to three secrets of this process's environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train.lifecycle.experiment import Experiment
from airflow_train.lifecycle.run import Run
from airflow_train.lifecycle.secrets import Source
from airflow_train.store.run_store import RunStore, open_store
from tests.secrecy import KEY, SECRET

#: One that can be part of a file's name.
TOKEN = "hunter2-token"


@pytest.fixture
def store(store_uri: str, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """An empty store; the process that submits has both secrets in its environment, one of them twice."""
    monkeypatch.setenv("OUR_SECRET", SECRET)
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.setenv("OUR_KEY", KEY)
    monkeypatch.setenv("OUR_TOKEN", TOKEN)
    return open_store(store_uri)


@pytest.fixture
def definition(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Plain data of an estimator that runs some code with both secrets."""

    def made(code: str, **more: Any) -> dict[str, Any]:
        (tmp_path / "source").mkdir(exist_ok=True)
        (tmp_path / "source" / "train.py").write_text(code, encoding="utf-8")
        secrets = {"SECRET": "env:OUR_SECRET", "KEY": "env:OUR_KEY", "TOKEN": "env:OUR_TOKEN"}
        whole = {
            "type": "Estimator",
            "source_directory": str(tmp_path / "source"),
            "entry_script": "train.py",
        }
        return {**whole, "secrets": secrets, **more}

    return made


def folder_of(store: RunStore) -> Path:
    """Where the store lies."""
    assert store.files.local_root is not None
    return Path(store.files.local_root)


def run_of(store: RunStore, data: dict[str, Any], source: Source | None = None) -> Run:
    """Submit and wait."""
    given = {} if source is None else {"secrets": source}
    run = Experiment("secret", store, **given).submit(data)
    run.wait_for_completion(raise_on_error=False)
    return run
