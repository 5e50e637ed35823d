"""FILE with `--set` → definition; and everything that is wrong with a FILE."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from airflow_train import definitions, targets
from airflow_train.definitions import Runnable, yaml_file
from airflow_train.definitions.report import At, Report
from airflow_train.definitions.report import Path as Place
from airflow_train.definitions.runconfig_names import is_run_configuration
from airflow_train.definitions.values import HIDDEN, is_deferred, is_template, may_hold_secret, shown
from airflow_train.environments.preparing import prepare
from airflow_train.environments.recipe import Needed
from airflow_train.exceptions import DefinitionError, TrainError
from airflow_train.store import snapshots
from airflow_train.store.run_store import RunStore

#: A name in the PATH of `--set`; in double quotes it may hold dots and equals signs.
_PART = r'(?:"[^"]+"|[^".=][^.=]*)'
_PATH = re.compile(rf"({_PART}(?:\.{_PART})*)=")


def definition(file: str, options: Sequence[str] = (), experiment: str | None = None) -> Runnable:
    """The definition in a file after `--set` and `--experiment`; without an experiment the file's stem is one.

    :param options: `PATH=YAML` each, applied in order.
    :raises DefinitionError: every problem, each with its line or the option that it comes from.
    """
    data, lines = _document(file)
    for option in options:
        place = _set(data, option)
        for known in [one for one in lines if one[: len(place)] == place]:
            del lines[known]
        for length in range(1, len(place) + 1):
            lines.setdefault(place[:length], _named(option))
        lines[place] = _named(option)
    if experiment is not None:
        data["experiment"] = experiment
        lines["experiment",] = f"--experiment {experiment}"
    data["experiment"] = data.get("experiment") or default_experiment(file)
    folder = Path(file).absolute().parent
    made = definitions.from_document(data, where=file, folder=folder, lines=lines)
    report = Report(file, lines)
    for place in _templates(data):
        unrendered = "is a template, which only a DAG renders, so it is taken as it is written; give its value by --set"
        At(report, place).note(UserWarning, f"{At(report, place)} {unrendered}.")
    report.finish(stacklevel=2)
    return made


def _document(file: str) -> tuple[dict[str, Any], dict[tuple[str | int, ...], int | str]]:
    """A definition file's data and lines; of a `.runconfig` file the run that it stands for, already checked."""
    if is_run_configuration(file):
        return definitions.load(Path(file)).to_dict(), {}
    document = yaml_file.parsed(Path(file))
    return _apart(document.data), {**document.lines}


def _apart(data: Any) -> Any:
    """A copy in which no two places share a value, as those that YAML's aliases name do."""
    if isinstance(data, dict):
        return {key: _apart(item) for key, item in data.items()}
    return [_apart(item) for item in data] if isinstance(data, list) else data


def _named(option: str) -> str:
    """What messages call an option; its value is left out where it may be a secret."""
    path, equals, _ = option.partition("=")
    if not may_hold_secret(option):
        return f"--set {option}"
    return f"--set {path}={HIDDEN}" if equals else f"--set {HIDDEN}"


def _set(data: dict[str, Any], option: str) -> tuple[str | int, ...]:
    """Put one `PATH=YAML` into plain data; returns the path."""
    found = _PATH.match(option)
    if found is None:
        written = HIDDEN if may_hold_secret(option) else repr(option)
        raise DefinitionError(
            f"--set is {written} but must be PATH=YAML, as in node_count=2 or script_params.--lr=0.1 (a name with a "
            'dot or equals sign in quotes: script_params."--opt.lr"=0.1); correct it.'
        )
    parts = [part[1:-1] if part.startswith('"') else part for part in re.findall(_PART, found[1])]
    value = value_of(_named(option), option[found.end() :])
    place: list[str | int] = []
    inner: Any = data
    for part in parts[:-1]:
        key = _key(inner, part, place, option)
        if isinstance(inner, dict) and inner.get(key) is None:
            inner[key] = {}
        place.append(key)
        inner = inner[key]
    key = _key(inner, parts[-1], place, option)
    inner[key] = value
    return (*place, key)


def _key(inner: Any, part: str, place: Sequence[str | int], option: str) -> Any:
    name = ".".join(map(str, place))
    if isinstance(inner, dict):
        return part
    if isinstance(inner, list):
        if part.isdecimal() and int(part) < len(inner):
            return int(part)
        raise DefinitionError(
            f"{_named(option)}: {name} is a list of {len(inner)}; name one of its values, from 0 up."
        )
    found = HIDDEN if may_hold_secret(option) else shown(inner)
    raise DefinitionError(
        f"{_named(option)}: {name} is {found}, which holds nothing named {part}; set {name} itself."
    )


def value_of(option: str, text: str) -> Any:
    """A YAML value whose scalars are the text that was written, as in a definition file.

    :raises DefinitionError: it can't be read as YAML.
    """
    try:
        return yaml_file.parsed_value(text)
    except ValueError as error:
        problem = "it isn't complete" if may_hold_secret(option) else error
        raise DefinitionError(
            f"{option}: the value can't be read as YAML ({problem}); put it in quotes."
        ) from error


def key_values(option: str, texts: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` options as a dict.

    :raises DefinitionError: one of them has no key or no `=`.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise DefinitionError(
                f"{option} is {text!r} but must be KEY=VALUE; write it as {option} {key or 'KEY'}=VALUE."
            )
        found[key] = value
    return found


def default_experiment(file: str) -> str:
    """The file's stem, cut to what experiments may be called."""
    return re.sub(r"[^\w-]+", "-", Path(file).stem, flags=re.ASCII).strip("-_")[:255] or "experiment"


class Inspected(NamedTuple):
    """What is found out about a file without running it."""

    problems: list[str]
    #: What is built for it; None where nothing is, or where that can't be known.
    needs: Needed | None = None


def inspected(store: RunStore, file: str) -> Inspected:
    """Everything that is wrong with a file, what it names and its target; values that are templates are passed over."""
    try:
        loaded = definitions.load(Path(file), strict=False)
    except DefinitionError as error:
        return Inspected(list(error.problems))
    found: list[str] = []
    needs: Needed | None = None
    try:
        definitions.check_files(loaded)
    except DefinitionError as error:
        found += error.problems
    found += _can_not_travel(store, loaded, entry_script=not found)
    if next(_templates(loaded.to_dict()), None) is None:
        said, needs = _by_target(store, loaded)
        found += [one for one in said if one not in found]
    return Inspected([one if one.startswith(file) else f"{file}: {one}" for one in found], needs)


def _can_not_travel(store: RunStore, loaded: Runnable, *, entry_script: bool) -> list[str]:
    """What a snapshot of the source would refuse; `entry_script` is whether its script is there."""
    if is_deferred(loaded.source_directory) or not os.path.isdir(source := loaded.source_path()):
        return []
    script = loaded.main_script()
    try:
        wanted = str(script) if entry_script and script is not None and not is_deferred(script) else None
        snapshots.measure(source, entry_script=wanted, files=store.files)
    except (TrainError, OSError) as error:
        return [str(error)]
    return []


def _by_target(store: RunStore, loaded: Runnable) -> Inspected:
    """What the target can't honour, and what is built for it there."""
    job = asdict(loaded.normalized())
    try:
        target = targets.get(definitions.resolve_compute_target(job["compute_target"]))
        job = dict(prepare(job, loaded.source_path(), loaded.beside(), store.files).job)
        problems = target.check(job, store)
        return Inspected(problems, None if problems else target.needs(job))
    except DefinitionError as error:
        return Inspected(list(error.problems))
    except TrainError as error:
        return Inspected([str(error)])


def _templates(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where there are values that are templates."""
    if is_template(value):
        yield place
    elif isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _templates(item, (*place, key))
