"""Compute targets by name: the YAML file of `[train] targets`, and what a definition's `compute_target` comes to.

gpus:                 # a name of your own
  type: kubernetes    # local, docker, kubernetes, or a type that an installed package adds
  namespace: training # the options of that type
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

#: Types that are also names: they need no entry in the file.
BUILT_IN = ("local", "docker", "kubernetes")


def targets_file() -> Path:
    """The file of named targets; it needn't exist unless it was set."""
    said = config.get("targets")
    return Path(said).expanduser() if said else config.airflow_home() / "train_targets.yaml"


def named_targets() -> dict[str, dict[str, Any]]:
    """All names that `compute_target` may be, each with `name`, `type` and `options`.

    :raises ConfigurationError: the file can't be read or has an entry that is no target; each problem with its line.
    """
    named = {kind: _target(kind, {"type": kind}) for kind in BUILT_IN}
    path = targets_file()
    if not config.get("targets") and not path.exists():
        return named
    from airflow_train.definitions.yaml_file import parsed

    try:
        document = parsed(path, begin="local: {type: local}")
        report = Report(str(path), document.lines)
        for name, entry in document.data.items():
            if (options := _options(name, entry, At(report) / name)) is not None:
                named[name] = _target(name, options)
        report.finish(stacklevel=2)
    except DefinitionError as error:
        raise ConfigurationError(str(error)) from error
    return named


def resolve_compute_target(value: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """A definition's `compute_target` as `{"name", "type", "options"}`; None means `[train] compute_target`.

    :raises DefinitionError: no target has that name, or the inline options aren't any.
    :raises ConfigurationError: the targets file is wrong, or the configured default is no target.
    """
    if isinstance(value, Mapping):
        report = Report("The definition", strict=True)
        options = target_options(value, At(report) / "compute_target")
        report.finish(stacklevel=2)
        return _target("", options or {})
    name = config.get("compute_target") if value is None else value
    named = named_targets()
    if name in named:
        return named[name]
    from importlib import metadata  # 10 ms, for names that are neither in the file nor built in

    if any(entry.name == name for entry in metadata.entry_points(group="airflow_train.targets")):
        return _target(name, {"type": name})
    close = nearest(name, named)
    mend = f"did you mean {close}?" if close else f"name it in {targets_file()}."
    sentence = f"compute_target is {shown(name)} but must be one of {', '.join(named)}; {mend}"
    raise ConfigurationError(f"[train] {sentence}") if value is None else DefinitionError(sentence)


def _options(name: str, entry: Any, at: At) -> Any:
    if isinstance(entry, Mapping):
        return target_options(entry, at)
    return at.wrong(entry, "a mapping with type", f"write {name}: {{type: local}}")


def _target(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` hold the type too; a target without a name is called like its type."""
    kind = str(options["type"])
    return {
        "name": name or kind,
        "type": kind,
        "options": {key: value for key, value in options.items() if key != "type"},
    }
