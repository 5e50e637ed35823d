"""`--set` and `--experiment`: what is wrong with an option is said with the option, never with a line it hasn't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    "line", [["dry-run"], ["run", "--detach"], ["run", "--json"]], ids=["dry-run", "run", "run --json"]
)
@pytest.mark.parametrize(
    "option", ["entry_script=nope.py", "source_directory=/nowhere", "node_count=0", "type=Keras"]
)
def test_a_problem_of_an_option_names_the_option(
    cli: Any, define: Callable[..., str], line: list[str], option: str
) -> None:
    answer = cli(*line, define("fails"), "--set", option)
    assert answer.code == 2
    assert answer.err.startswith(f"error: --set {option}: {option.split('=', maxsplit=1)[0]} is ")
    assert "00000" not in answer.err + answer.out
    if "--json" in line:
        assert answer.data["error"].startswith(f"--set {option}: ")


def test_a_deprecated_name_in_an_option_is_warned_of_with_the_option(
    cli: Any, define: Callable[..., str]
) -> None:
    answer = cli("dry-run", define("fails"), "--set", "vm_size=big")
    assert answer.code == 0
    assert "warning: --set vm_size=big: vm_size has no effect" in answer.err


@pytest.mark.parametrize(
    "option",
    [
        "image_registry_details.password=hunter2",
        "image_registry_details={password: hunter2}",
        "image_registry_details=hunter2",
        "image_registry_details.password.x=hunter2",
        "environment_variables.API_TOKEN=[hunter2]",
        "environment_variables.API_TOKEN=*hunter2",
        "environment_variables.API_TOKEN={hunter2",
        "password:hunter2",
    ],
)
def test_a_secret_in_an_option_is_not_repeated(cli: Any, define: Callable[..., str], option: str) -> None:
    answer = cli("run", "--json", define("fails"), "--set", option)
    assert answer.code == 2
    assert "hunter2" not in answer.err + answer.out
    assert "--set" in answer.err


def test_validate_looks_at_what_would_travel(cli: Any, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "train.py").touch()
    (source / ".gitignore").write_text("train.py\n")
    file = tmp_path / "definition.yaml"
    file.write_text("type: Estimator\nsource_directory: src\nentry_script: train.py\n")
    answer = cli("validate", str(file))
    assert answer.code == 2
    assert f"error: {file}: The entry script train.py is ignored by .gitignore:1" in answer.err

    (source / ".gitignore").unlink()
    (source / "out").symlink_to("/etc")
    answer = cli("validate", str(file), "--json")
    assert answer.code == 2
    assert len(answer.data[0]["problems"]) == 1
    (source / "out").unlink()
    assert cli("validate", str(file)).code == 0


def test_validate_says_a_missing_script_once(cli: Any, define: Callable[..., str]) -> None:
    answer = cli("validate", "--json", define("fails", entry_script="nope.py"))
    assert len(answer.data[0]["problems"]) == 1
