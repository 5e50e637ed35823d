"""What is wrong with a file each command says in one line, without a traceback, and the store stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_train.cli import main
from tests.definitions.malformed import FILES, HEAD, MISTAKES, MORE, MORE_FILES

TEXTS = {name: f"{HEAD}{text}\n" for name, (text, _, _) in (MISTAKES | MORE).items()}
TEXTS |= {name: text for name, (text, _, _) in (FILES | MORE_FILES).items()}


def test_they_are_two_hundred_and_more_and_all_different() -> None:
    assert len(set(TEXTS.values())) == len(TEXTS) >= 200


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("command", ["validate", "dry-run", "run"])
def test_every_malformed_file_is_one_line_and_nothing_is_written(
    command: str, tmp_path: Path, store_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").touch()
    before = sorted(Path(store_uri).rglob("*"))
    wrong = {}
    for name, text in TEXTS.items():
        file = tmp_path / "estimator.yaml"
        file.write_text(text, encoding="utf-8")
        code = main.main([command, str(file)])
        said = capsys.readouterr()
        lines = [line for line in said.err.splitlines() if not line.startswith("warning: ")]
        if code != 2 or len(lines) != 1 or not lines[0].startswith(f"error: {file}:"):
            wrong[name] = (code, said.err)
        if sorted(Path(store_uri).rglob("*")) != before:
            wrong[name] = (code, "the store was written")
    assert wrong == {}
