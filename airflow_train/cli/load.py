"""FILE with `--set` → definition; and everything that is wrong with a FILE."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_train.definitions.values import Written
from airflow_train.exceptions import DefinitionError

if TYPE_CHECKING:
    from airflow_train.definitions import Estimator, ScriptRunConfig

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


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
    return re.sub(r"[^\w-]+|^[^a-zA-Z0-9]+", "-", Path(file).stem).strip("-")[:255] or "experiment"


def scalar_text(option: str, text: str) -> Any:
    """A YAML value whose scalars are the text that was written, as in a definition file.

    :raises DefinitionError: it can't be read as YAML.
    """
    import yaml

    try:
        return _plain(yaml.compose(text, Loader=yaml.BaseLoader))
    except yaml.YAMLError as error:
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise DefinitionError(
            f"{option}: the value can't be read as YAML ({problem}); put it in quotes."
        ) from error


def _plain(node: Any) -> Any:
    import yaml

    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    if node is None or (node.style is None and node.value in _NULLS):
        return None
    return Written(node.value, quoted=node.style is not None)
