"""What is missing, and what shows a secret, is refused before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_train.exceptions import DefinitionError, SecretNotFound, SnapshotError
from airflow_train.lifecycle.experiment import Experiment
from airflow_train.lifecycle.secrets import Source
from airflow_train.store.run_store import RunStore
from tests.lifecycle.secret_runs import definition, folder_of, run_of, store
from tests.secrecy import SECRET, shown_in

__all__ = ["definition", "store"]


def test_what_is_missing_is_said_before_anything_is_written(
    store: RunStore, definition: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OUR_SECRET")
    monkeypatch.setenv("OUR_KEY", "")
    with pytest.raises(SecretNotFound) as caught:
        Experiment("secret", store).submit(definition("pass"))
    assert str(caught.value).splitlines() == [
        (
            "secrets.SECRET is env:OUR_SECRET, but the environment variable OUR_SECRET isn't set where the run is "
            "started; set it there."
        ),
        "secrets.KEY is env:OUR_KEY, but it is empty; correct it.",
    ]
    assert not folder_of(store).exists()


def test_without_airflow_a_connection_says_who_knows_it(store: RunStore, definition: Any) -> None:
    with pytest.raises(SecretNotFound, match=r"secrets.K is connection:w/password, but only Airflow knows"):
        Experiment("secret", store).submit(definition("pass", secrets={"K": "connection:w/password"}))


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"script_params": {"--login": f"x{SECRET}x"}}, "script_params['--login']"),
        ({"environment_variables": {"LOGIN": SECRET}}, "environment_variables.LOGIN"),
        ({"tags": {SECRET: "yes"}}, "tags"),
    ],
    ids=["parameter", "variable", "tag"],
)
def test_a_definition_that_holds_a_secret_beside_its_reference_is_refused(
    store: RunStore, definition: Any, more: dict[str, Any], place: str
) -> None:
    with pytest.raises(DefinitionError, match=r"holds the value of secrets.SECRET \(not shown\)") as caught:
        Experiment("secret", store).submit(definition("pass", **more))
    assert str(caught.value).startswith(place)
    assert SECRET not in str(caught.value)
    assert not folder_of(store).exists()


def test_a_definition_that_holds_what_the_process_knows_to_be_secret_is_refused(
    store: RunStore, definition: Any
) -> None:
    source = Source(knows=lambda text: "masked" in text)
    data = definition("pass", secrets={}, script_params={"--in": ["a", "unmasked"]})
    with pytest.raises(
        DefinitionError, match=r"^script_params\['--in'\]\[1\] holds a value that Airflow keeps"
    ):
        Experiment("secret", store, secrets=source).submit(data)


def test_a_secret_among_the_source_code_is_refused_unless_its_file_is_ignored(
    store: RunStore, definition: Any, tmp_path: Path
) -> None:
    data = definition("pass")
    (tmp_path / "source" / ".env").write_text(f"LOGIN={SECRET}\n", encoding="utf-8")
    with pytest.raises(
        SnapshotError, match=r"/source/\.env holds the value of secrets.SECRET \(not shown\)"
    ) as caught:
        Experiment("secret", store).submit(data)
    assert SECRET not in str(caught.value)
    assert not folder_of(store).exists()
    (tmp_path / "source" / ".amlignore").write_text(".env\n")

    assert run_of(store, data).get_status() == "Completed"
    assert shown_in(folder_of(store), SECRET) == []


def test_a_setting_that_is_handed_over_may_stand_elsewhere(store: RunStore, definition: Any) -> None:
    source = Source(lambda wanted: "s3://bucket/data")
    data = definition(
        "# s3://bucket/data", secrets={"DATA": "variable:data"}, script_params={"--d": "s3://bucket/data"}
    )

    assert run_of(store, data, source).get_status() == "Completed"


def test_a_host_that_is_handed_over_may_stand_elsewhere(store: RunStore, definition: Any) -> None:
    source = Source(lambda wanted: {"host": "localhost"}[wanted.field])
    data = definition("pass", secrets={"HOST": "connection:db/host"}, tags={"where": "localhost"})

    assert run_of(store, data, source).get_status() == "Completed"
