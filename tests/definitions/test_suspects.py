"""Names that look like secrets get a warning with the mend; everyday names of training scripts don't."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train import definitions

HEAD = "type: Estimator\nsource_directory: src\nentry_script: train.py\n"
SUSPECTS = [
    "--api-key",
    "--api_key",
    "--apiKey",
    "--password",
    "--db-password",
    "--token",
    "--hf-token",
    "--client-secret",
    "--private-key",
    "--secret",
    "--auth-token",
    "--access-key",
    "--passphrase",
    "HF_TOKEN",
    "WANDB_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "NEPTUNE_API_TOKEN",
    "OPENAI_API_KEY",
    "GITHUB_TOKEN",
    "DB_PASSWD",
    "MLFLOW_TRACKING_PASSWORD",
    "COMET_API_KEY",
]
EVERYDAY = [
    "--tokenizer",
    "--max-tokens",
    "--key-dim",
    "--n-tokens",
    "--token-length",
    "--num-tokens",
    "--eos-token",
    "--pad-token",
    "--key",
    "--sort-key",
    "--keys",
    "--token-type",
    "--password-file",
    "--secretary",
    "--monkey",
    "--token-dropout",
    "--max_new_tokens",
    "--key-padding-mask",
    "--api-key-file",
    "--per-token",
    "--tokens-per-batch",
    "--primary-key",
    "--label-key",
    "--max-token",
    "--passes",
    "--query-key-norm",
    "--lr",
    "TOKENIZERS_PARALLELISM",
    "KEY_DIM",
    "CUDA_VISIBLE_DEVICES",
    "AWS_ACCESS_KEY_ID",
]


def notes(data: dict[str, Any]) -> list[str]:
    """Warnings about a definition."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        definitions.load({"type": "Estimator", "source_directory": ".", "entry_script": "a.py", **data})
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("name", SUSPECTS)
def test_a_name_that_looks_like_a_secret_is_a_suspect(name: str) -> None:
    where = "script_params" if name.startswith("-") else "environment_variables"
    assert len(notes({where: {name: "hunter2-x"}})) == 1


@pytest.mark.parametrize("name", EVERYDAY)
def test_an_everyday_name_is_none(name: str) -> None:
    where = "script_params" if name.startswith("-") else "environment_variables"
    assert notes({where: {name: "hunter2-x"}}) == []


@pytest.mark.parametrize("value", [None, "", True, "false", 5, "/run/secrets/key", "./key.pem", "~/key"])
def test_flags_numbers_and_paths_are_no_secrets(value: Any) -> None:
    assert notes({"script_params": {"--token": value}}) == []


def test_a_warning_names_the_line_and_the_mend_and_not_the_value(write: Callable[..., Path]) -> None:
    file = write(f"{HEAD}script_params:\n  --lr: 0.1\n  --api-key: hunter2-x\n")
    with pytest.warns(UserWarning, match="looks like a secret") as caught:
        definitions.load(file)
    assert str(caught[0].message) == (
        f"{file}:6: script_params['--api-key'] looks like a secret, but everything here is stored and shown; write "
        'secrets: {API_KEY: "connection:ID/password"} and let the script read that environment variable.'
    )


def test_a_reference_outside_secrets_is_text_and_that_is_said() -> None:
    (said,) = notes({"script_params": {"--login": "connection:wandb/password"}})
    assert "begins like a reference to a secret, which is resolved under secrets only" in said


@pytest.mark.parametrize(
    "words",
    [["--api-key", "hunter2-x"], ["--api-key=hunter2-x"], "--lr 0.1 --api-key hunter2-x"],
    ids=["two words", "one word", "text"],
)
def test_command_lines_are_looked_at_too(words: Any) -> None:
    with pytest.warns(UserWarning, match=r"looks like a secret.*API_KEY") as caught:
        definitions.ScriptRunConfig(".", script="a.py", arguments=words)
    assert len(caught) == 1


@pytest.mark.parametrize(
    "words", [["--token", "--lr", "1"], ["--no-token"], ["--tokenizer", "bert"], ["token"]]
)
def test_command_lines_without_secrets_are_silent(words: list[str]) -> None:
    definitions.ScriptRunConfig(".", script="a.py", arguments=words)
