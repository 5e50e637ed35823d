"""Commands: where secrets come from, and that no command shows one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train.cli.main import main
from airflow_train.store.run_store import open_store
from tests.secrecy import SECRET, shown_in

HEAD = "type: Estimator\nsource_directory: code\nentry_script: train.py\n"


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    """A definition file beside its script."""

    def made(more: str, code: str = "import os; print('is', os.environ['LOGIN'])") -> str:
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "train.py").write_text(code)
        (tmp_path / "train.yaml").write_text(HEAD + more, encoding="utf-8")
        return str(tmp_path / "train.yaml")

    return made


def test_env_is_read_where_the_command_runs(
    file: Any, store_uri: str, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("OUR_LOGIN", SECRET)
    code = main(["run", file("secrets: {LOGIN: 'env:OUR_LOGIN'}\n")])
    said = capfd.readouterr()

    assert (code, "[0] is ***" in said.out) == (0, True)
    assert SECRET not in said.out + said.err
    assert shown_in(Path(store_uri), SECRET) == []


def test_show_and_dry_run_name_references_only(
    file: Any, store_uri: str, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("OUR_LOGIN", SECRET)
    path = file("secrets: {LOGIN: 'env:OUR_LOGIN'}\n")
    assert main(["dry-run", path, "--json"]) == 0
    assert main(["run", path]) == 0
    capfd.readouterr()
    run_id = open_store(store_uri).list_runs()[0].run_id
    assert main(["runs", "show", run_id, "--json"]) == 0
    shown = capfd.readouterr().out

    assert json.loads(shown)["definition"]["secrets"] == {"LOGIN": "env:OUR_LOGIN"}
    assert SECRET not in shown


def test_what_is_missing_is_one_sentence_and_nothing_is_written(
    file: Any, store_uri: str, capfd: Any
) -> None:
    code = main(["run", file("secrets: {LOGIN: 'env:OUR_LOGIN'}\n")])

    assert code == 2
    assert capfd.readouterr().err == (
        "error: secrets.LOGIN is env:OUR_LOGIN, but the environment variable OUR_LOGIN isn't set where the run is "
        "started; set it there.\n"
    )
    assert not Path(store_uri).exists()


@pytest.mark.parametrize("command", [["validate"], ["dry-run"], ["run"]])
def test_a_suspect_is_warned_of_once_with_its_line(
    file: Any, store_uri: str, capfd: Any, command: list[str]
) -> None:
    path = file("script_params:\n  --api-key: hunter2-x\n", "print('done')")
    code = main([*command, path])
    said = [line for line in capfd.readouterr().err.splitlines() if "warning" in line]

    assert code == 0, store_uri
    assert [line.partition(" looks like")[0] for line in said] == [
        f"warning: {path}:5: script_params['--api-key']"
    ]
    assert "hunter2" not in said[0]
