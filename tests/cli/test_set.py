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


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ('script_params."--opt.lr"=3', ["--opt.lr", "3"]),
        ('script_params."--a=b"="c.d=e"', ["--a=b", "c.d=e"]),
        ("script_params.--lr=0.10", ["--lr", "0.10"]),
        ('script_params."--x"=', ["--x"]),
    ],
)
def test_a_name_with_dots_is_written_in_quotes(
    cli: Any, define: Callable[..., str], option: str, words: list[str]
) -> None:
    answer = cli("dry-run", "--json", define("fails"), "--set", option)
    assert answer.code == 0, answer.err
    assert answer.data["plan"]["launch"]["command"][-len(words) :] == words


@pytest.mark.parametrize("option", ['script_params."--lr=3', '"=3', ".a=3", "a..b=3", "=3", 'a."".b=3', "a"])
def test_a_path_that_is_none_is_one_sentence_with_the_mend(
    cli: Any, define: Callable[..., str], option: str
) -> None:
    answer = cli("dry-run", define("fails"), "--set", option)
    assert answer.code == 2
    assert "but must be PATH=YAML" in answer.err
    assert 'script_params."--opt.lr"=0.1' in answer.err
    assert answer.err.count("\n") == 1


def test_an_option_changes_the_place_that_it_names_and_no_alias_of_it(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    file = tmp_path / "definition.yaml"
    file.write_text(
        "type: Estimator\nsource_directory: .\nentry_script: train.py\n"
        "tags: &a {x: 1}\nenvironment_variables: *a\n"
    )
    answer = cli("dry-run", "--json", str(file), "--set", "tags.x=2")
    assert answer.code == 0, answer.err
    assert answer.data["plan"]["launch"]["environment"]["x"] == "1"


def test_a_run_configuration_file_is_a_definition(cli: Any, tmp_path: Path) -> None:
    (tmp_path / ".azureml").mkdir()
    (tmp_path / "train.py").write_text("print('ran')\n")
    file = tmp_path / ".azureml" / "train.runconfig"
    file.write_text("script: train.py\narguments: [--lr, '0.1']\nenvironment: {python: {}}\n")
    assert cli("validate", str(file)).code == 0
    answer = cli("dry-run", "--json", str(file), "--set", "arguments=[--lr, 0.2]")
    assert answer.data["plan"]["launch"]["command"][-3:] == ["train.py", "--lr", "0.2"]
    answer = cli("run", str(file))
    assert answer.code == 0, answer.err
    assert "ran" in answer.out + answer.err
    file.write_text("script: train.py\nnodeCount: 0\nenvironment: {python: {}}\n")
    answer = cli("run", str(file))
    assert answer.code == 2
    assert f"{file}:2: nodeCount is 0 but must be at least 1" in answer.err
