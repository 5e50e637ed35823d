"""Named compute targets: a YAML file whose names lead to a type and its options.

    big:
      type: docker
      image: python:3.12

The file is the option `targets` of `[train]`, else `train_targets.yaml` in Airflow's folder. A name that the file
doesn't have may be a type itself, with no options: `compute_target: local` needs no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_train import config
from airflow_train.definitions.report import At, Report
from airflow_train.definitions.target_value import target_options
from airflow_train.definitions.values import nearest, shown
from airflow_train.exceptions import ConfigurationError, DefinitionError

#: Types that can be named without a file.
BUILT_IN = ("local", "docker", "kubernetes")


def targets_path(path: Path | None = None) -> Path:
    """Where the file of named targets is, whether it exists or not."""
    return Path(path or config.get("targets") or config.airflow_home() / "train_targets.yaml").expanduser()


def named_targets(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """All targets of the file: name → `{"type": …, option: …}`; empty when there is no file and none was configured.

    :raises ConfigurationError: the file can't be read, or an entry is wrong.
    """
    file = targets_path(path)
    if path is None and not config.get("targets") and not file.exists():
        return {}
    from airflow_train.definitions.yaml_file import parsed

    try:
        document = parsed(file)
        report = Report(str(file), document.lines)
        at = At(report)
        found = {name: _entry(value, at / name) for name, value in document.data.items()}
        report.finish(stacklevel=2)
    except DefinitionError as error:
        raise ConfigurationError(
            str(error).replace("begin it with type: Estimator", "write NAME: {type: local}")
        ) from error
    return {name: entry for name, entry in found.items() if entry is not None}


def resolve_compute_target(
    value: str | Mapping[str, Any] | None = None,
    *,
    path: Path | None = None,
    known_types: tuple[str, ...] = BUILT_IN,
) -> dict[str, Any]:
    """`{"name", "type", "options"}` of a compute target.

    :param value: a name, a mapping with `type`, or None for the configured default.
    :param path: the file of named targets; default the configured one.
    :param known_types: types that may be named without an entry in the file.
    :raises DefinitionError: a mapping without `type`.
    :raises ConfigurationError: an unknown name, or a damaged file.
    """
    if isinstance(value, Mapping):
        report = Report("compute_target")
        options = target_options(value, At(report, ("compute_target",))) or {}
        report.finish(stacklevel=2)
        return _resolved(options.get("type", ""), options)
    name = value or config.get("compute_target")
    targets = named_targets(path)
    if name in targets:
        return _resolved(name, targets[name])
    if name in known_types:
        return {"name": name, "type": name, "options": {}}
    names = list(dict.fromkeys([*targets, *known_types]))
    close = nearest(name, names)
    mend = f"did you mean {close}?" if close else f"add it to {targets_path(path)}."
    raise ConfigurationError(f"compute_target is {shown(name)} but known are {', '.join(names)}; {mend}")


def _resolved(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    options = {key: item for key, item in entry.items() if key != "type"}
    return {"name": name, "type": entry["type"], "options": options}


def _entry(value: Any, at: At) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        return at.wrong(value, "a mapping with type", "write {type: local}")
    return target_options(value, at)
