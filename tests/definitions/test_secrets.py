"""No message repeats what may be a secret, wherever it was written."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_train import definitions
from airflow_train.exceptions import DefinitionError

HEAD = "type: Estimator\nsource_directory: src\nentry_script: train.py\n"

#: After HEAD, so on line 4, a password where none may stand or where YAML breaks off.
LEAKS = {
    "a literal password": "image_registry_details: {password: hunter2}",
    "a registry that is text": "image_registry_details: hunter2",
    "an address with credentials": 'image_registry_details: {address: "https://me:hunter2@r.example.com"}',
    "an address that is a list": "image_registry_details: {address: [hunter2]}",
    "a username with a password": 'image_registry_details: {username: "me:hunter2"}',
    "a username that is a mapping": "image_registry_details: {username: {me: hunter2}}",
    "a password with an at sign": "environment_variables: {DB_PASSWORD: @hunter2}",
    "a token before a wrong colon": "API_TOKEN: hunter2: x",
    "a quote that isn't closed": 'my_secret: "hunter2',
    "a list of keys": "- api_key: `hunter2`",
    "a password that is an alias": "image_registry_details: {password: *hunter2}",
    "a password that is a tag": "image_registry_details: {password: !hunter2 x}",
    "an address in a broken line": "x: https://me:hunter2@example.com: y",
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_secret_is_not_repeated_but_its_line_is_named(leak: str, write: Callable[..., Path]) -> None:
    file = write(f"{HEAD}{leak}\n")
    with pytest.raises(DefinitionError) as caught:
        definitions.load(file)
    assert "hunter2" not in str(caught.value)
    assert f"{file}:4: " in str(caught.value) or f"{file}:5: " in str(caught.value)


def test_a_secret_that_goes_on_in_the_next_line_is_not_repeated(write: Callable[..., Path]) -> None:
    file = write(f'{HEAD}password: "first\n  hunter2" hunter2\n')
    with pytest.raises(DefinitionError) as caught:
        definitions.load(file)
    assert "hunter2" not in str(caught.value)


def test_a_line_without_secrets_is_shown_as_it_is(write: Callable[..., Path]) -> None:
    with pytest.raises(DefinitionError, match=r"correct node_count: 2: 3"):
        definitions.load(write(f"{HEAD}node_count: 2: 3\n"))


def test_a_username_may_be_a_reference_or_a_template() -> None:
    for name in ("me", "connection:registry", "env:USER_NAME", "{{ conn.registry.login }}"):
        assert definitions.ContainerRegistry(username=name).username == name


def test_python_values_are_not_repeated_either(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        definitions.Estimator(
            source_directory=str(tmp_path), entry_script="a.py", image_registry_details="hunter2"
        )
    assert "hunter2" not in "".join(map(str, traceback.format_exception_only(caught.value)))
