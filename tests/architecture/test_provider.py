"""Airflow finds the provider, its configuration section and its metadata."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import jsonschema
import pytest

from airflow_train.config import OPTIONS
from airflow_train.get_provider_info import get_provider_info


def test_the_entry_point_leads_to_metadata_that_airflows_schema_accepts() -> None:
    points = metadata.entry_points(group="apache_airflow_provider")
    ours = [point for point in points if point.value.startswith("airflow_train.")]
    # Found through the installed files: importing Airflow here would read this machine's configuration.
    schema_file = next(
        file
        for file in metadata.files("apache-airflow-core") or []
        if file.name == "provider_info.schema.json"
    )
    schema = json.loads(schema_file.read_text())

    assert [point.load() for point in ours] == [get_provider_info]
    jsonschema.validate(get_provider_info(), schema)


def test_every_option_has_a_default_of_its_own_type() -> None:
    readers = {
        "string": str,
        "integer": int,
        "float": float,
        "boolean": lambda text: text in {"True", "False"},
    }
    assert [readers[kind](default) for default, kind, _ in OPTIONS.values()]


def test_the_package_says_that_it_is_typed() -> None:
    assert resources.files("airflow_train").joinpath("py.typed").is_file()


@pytest.mark.parametrize(
    ("set_to", "answer"), [(None, OPTIONS["compute_target"][0]), ("gpu-pool", "gpu-pool")]
)
def test_airflow_reads_the_train_section(
    monkeypatch: pytest.MonkeyPatch, set_to: str | None, answer: str
) -> None:
    if set_to:
        monkeypatch.setenv("AIRFLOW__TRAIN__COMPUTE_TARGET", set_to)
    airflow = Path(sys.executable).with_name("airflow")
    command = [airflow, "config", "get-value", "train", "compute_target"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.stdout.splitlines()[-1:] == [answer], result.stderr
