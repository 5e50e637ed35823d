"""What a builder says is in the run's logs as it says it, without anybody's login."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_train.environments import log
from airflow_train.store import layout
from airflow_train.store.files import Files
from tests.targets.lab import until


def shown(files: Files) -> list[str]:
    lines = files.read(layout.build_log("r")).decode().splitlines()
    assert all(line[10] == "T" and line[23:25] == "Z " for line in lines)
    return [line[25:] for line in lines]


def test_lines_are_there_while_the_builder_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files.open(str(tmp_path))
    monkeypatch.setattr(log, "INTERVAL", 0.1)
    with log.BuildLog(files, "r") as said:
        said.say("Resolved 3 packages\n")
        assert shown(files) == ["Resolved 3 packages"]
        said.say("ümläut 数据")
        until(lambda: len(shown(files)) == 2)
        said.say("")
    assert shown(files) == said.lines == ["Resolved 3 packages", "ümläut 数据"]


def test_the_next_builder_of_the_same_run_goes_on_with_the_log(tmp_path: Path) -> None:
    files = Files.open(str(tmp_path))
    for line in ("first", "second"):
        with log.BuildLog(files, "r") as said:
            said.say(line)
    assert shown(files) == ["first", "second"]


def test_logins_colours_and_what_a_progress_bar_showed_before_stay_out(tmp_path: Path) -> None:
    files = Files.open(str(tmp_path))
    with log.BuildLog(files, "r") as said:
        said.say("error: https://ann:s3cr3t@packages.example/six and https://t0ken@x.example/ fail")
        said.say("at https://a.example/b.whl?v=1&X-Sig=s3cr3t&sha=2 and https://a.example/b?token=s3cr3t'")
        said.say("at 'https://ann:p@ss'w\"rd@packages.example/a@1'")
        said.say(" 10%\r 50%\r\x1b[32m100%\x1b[0m\r")
    assert shown(files) == [
        "error: https://***@packages.example/six and https://***@x.example/ fail",
        "at https://a.example/b.whl?v=1&X-Sig=***&sha=2 and https://a.example/b?token=***'",
        "at 'https://***@packages.example/a@1'",
        "100%",
    ]
