"""`secrets`: variables and references, checked without ever repeating what may be a secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train import definitions
from airflow_train.definitions.secrets import Reference, reference
from airflow_train.exceptions import DefinitionError

HEAD = "type: Estimator\nsource_directory: src\nentry_script: train.py\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("connection:wandb/password", Reference("connection", "wandb", "password")),
        ("connection:wandb", Reference("connection", "wandb", "uri")),
        ("connection:team/wandb/login", Reference("connection", "team/wandb", "login")),
        ("connection:s3/extra.role.arn", Reference("connection", "s3", "extra.role.arn")),
        ("variable:team/key", Reference("variable", "team/key")),
        ("env:WANDB_API_KEY", Reference("env", "WANDB_API_KEY")),
    ],
)
def test_a_reference_says_where_a_secret_is_kept(text: str, found: Reference) -> None:
    assert reference(text) == found


#: What stands under `secrets:`, and what is said of it.
WRONG = {
    "a literal": ("{K: hunter2}", "must be a reference"),
    "a literal with a colon": ("{K: 'hunter2:x'}", "must be a reference"),
    "a number": ("{K: 4711}", "must be a reference"),
    "a list": ("{K: [hunter2]}", "must be a reference"),
    "nothing": ("{K: }", "must be a reference"),
    "a whole template": ("{K: '{{ conn.hunter2.password }}'}", "must be a reference"),
    "an empty name": ("{K: 'connection:'}", "must be a reference"),
    "an unknown part": ("{K: connection:a/hunter2}", "after the last / write login, password"),
    "a variable that can't be": ("{K: 'env:hunter2-x'}", "write env:NAME"),
    "Airflow's own setting": ("{K: env:AIRFLOW__CORE__FERNET_KEY}", "Airflow's own settings"),
    "sides mixed up": ("{'hunter2-x': K}", "no environment variable can have"),
    "a launcher's name": ("{RANK: 'env:hunter2'}", "every rank gets a variable of that name"),
    "our own name": ("{AIRFLOW_TRAIN_RUN_ID: 'env:hunter2'}", "every rank gets a variable of that name"),
    "a text": ("hunter2", "must be a mapping"),
    "a list of mappings": ("[{K: hunter2}]", "must be a mapping"),
    "a template in place of all": ("'{{ params.hunter2 }}'", "must be a mapping"),
}


@pytest.mark.parametrize(("written", "said"), WRONG.values(), ids=WRONG)
def test_what_is_no_reference_is_refused_and_not_repeated(
    written: str, said: str, write: Callable[..., Path]
) -> None:
    file = write(f"{HEAD}secrets: {written}\n")
    with pytest.raises(DefinitionError) as caught:
        definitions.load(file)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{file}:4: secrets")
    assert "hunter2" not in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_name_in_a_reference_may_be_a_template_until_the_task_runs(write: Callable[..., Path]) -> None:
    file = write(f"{HEAD}secrets: {{K: 'connection:{{{{ params.login }}}}/password'}}\n")
    loaded = definitions.load(file)
    assert loaded.secrets == {"K": "connection:{{ params.login }}/password"}
    with pytest.raises(DefinitionError, match=r"secrets.K holds a template that was not rendered"):
        loaded.normalized()


@pytest.mark.parametrize(
    "data",
    [
        {"type": "Estimator", "entry_script": "a.py", "environment_variables": {"K": "x"}},
        {
            "type": "Estimator",
            "entry_script": "a.py",
            "environment_definition": {"name": "e", "environment_variables": {"K": "x"}},
        },
        {
            "type": "ScriptRunConfig",
            "script": "a.py",
            "environment": {"name": "e", "environment_variables": {"K": "x"}},
        },
    ],
    ids=["estimator", "environment of an estimator", "script run"],
)
def test_a_variable_is_a_secret_or_an_open_one(data: dict[str, Any]) -> None:
    with pytest.raises(
        DefinitionError, match=r"secrets.K is given in environment_variables too; leave it out there"
    ):
        definitions.load({**data, "source_directory": ".", "secrets": {"K": "env:K"}})


def test_secrets_survive_yaml_and_become_part_of_the_job(write: Callable[..., Path]) -> None:
    secrets = {"WANDB_API_KEY": "connection:wandb/password", "B": "variable:b"}
    made = definitions.PyTorch(".", entry_script="a.py", secrets=secrets)
    file = write(made.to_yaml())
    assert definitions.load(file) == made
    assert made.normalized().secrets == secrets
