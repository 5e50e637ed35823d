"""Options, read when they are asked for and never at import.

First hit wins: the argument, `AIRFLOW__TRAIN__X`, `AIRFLOW_TRAIN_X`, section `[train]` of airflow.cfg, the default.
Airflow itself is never imported for this (1.5 s and 115 MB); airflow.cfg is plain configparser syntax.
"""

from __future__ import annotations

import configparser
import contextlib
import os
from functools import lru_cache
from pathlib import Path

from airflow_train.exceptions import ConfigurationError

#: option → (default, type, what it means). The provider's configuration section is made of this table.
OPTIONS: dict[str, tuple[str, str, str]] = {
    "store": (
        "",
        "string",
        "Run store: a path or fsspec URI. Empty means the folder `train` in AIRFLOW_HOME.",
    ),
    "targets": (
        "",
        "string",
        "YAML file of named compute targets. Empty means `train_targets.yaml` in AIRFLOW_HOME.",
    ),
    "compute_target": ("local", "string", "Compute target of definitions that name none."),
    "snapshot_max_bytes": ("314572800", "integer", "Largest source directory that travels, in bytes."),
    "snapshot_max_files": ("20000", "integer", "Most files of a source directory that travel."),
    "poll_interval": ("1.0", "float", "Longest pause in seconds between two looks at a run."),
    "start_limit": (
        "300",
        "float",
        "Seconds that handing a run over to its compute target may take; 0 for no limit.",
    ),
    "build_limit": (
        "3600",
        "float",
        "Seconds that building a run's environment may take; 0 for no limit.",
    ),
    "stage_limit": (
        "3600",
        "float",
        "Seconds that laying out code and checkpoints may take; 0 for no limit.",
    ),
    "meet_limit": ("300", "float", "Seconds that all ranks of a run may take to start; 0 for no limit."),
    "collect_limit": ("3600", "float", "Seconds that collecting outputs may take; 0 for no limit."),
    "environments": (
        "",
        "string",
        "Folder of the local target's virtual environments. Empty means `airflow-train/environments` in ~/.cache.",
    ),
    "run_url": (
        "",
        "string",
        "Address of a task's link to its run's folder, made of {run_id}, {uri}, {path}, {bucket} and {key}.",
    ),
    "logs_url": ("", "string", "The same for its link to the folder of the run's logs."),
    "log_lines": (
        "10000",
        "integer",
        "Most lines of a run that the task log shows; the run store holds all.",
    ),
}


def airflow_home() -> Path:
    """Airflow's folder: `AIRFLOW_HOME`, else `~/airflow`."""
    return Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser()


def get(option: str, argument: str | None = None) -> str:
    """Value of a `[train]` option as text.

    :raises ConfigurationError: airflow.cfg can't be parsed.
    """
    default = OPTIONS[option][0]
    if argument:
        return argument
    for name in (f"AIRFLOW__TRAIN__{option.upper()}", f"AIRFLOW_TRAIN_{option.upper()}"):
        if value := os.environ.get(name):
            return value
    path = Path(os.environ.get("AIRFLOW_CONFIG") or airflow_home() / "airflow.cfg").expanduser()
    try:
        modified = path.stat().st_mtime_ns
    except OSError:
        return default
    return _section(path, modified).get(option) or default


def get_number(option: str) -> float:
    """Value of a numeric option.

    :raises ConfigurationError: the value isn't a finite number.
    """
    text = get(option)
    with contextlib.suppress(ValueError):
        value = float(text)
        if abs(value) < float("inf"):
            return value
    raise ConfigurationError(
        f"[train] {option} is {text!r} but must be a finite number; correct it or leave it out."
    )


@lru_cache(maxsize=4)
def _section(path: Path, _modified: int) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} can't be read as an Airflow configuration: {error}; correct the file."
        ) from error
    return dict(parser.items("train")) if parser.has_section("train") else {}
