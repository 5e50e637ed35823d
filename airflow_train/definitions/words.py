"""Single values on their way to the script: as its author wrote them, and as words of a command line."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

from airflow_train.definitions.report import At
from airflow_train.definitions.values import Written, is_deferred, is_reference

_INTEGER = re.compile(r"-?(0|[1-9]\d*)")
_REAL = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?")

#: Classes of the original that stand for data, by name: they can't be script parameters yet.
_DATA_CLASSES = frozenset({
    "Data", "DataReference", "Dataset", "DatasetConsumptionConfig", "Datastore", "FileDataset", "OutputData",
    "OutputDatasetConfig", "OutputFileDatasetConfig", "OutputTabularDatasetConfig", "PipelineData", "TabularDataset",
})  # fmt: skip


def plain_data(value: Any, at: At) -> Any:
    """JSON data of any depth; anything else is reported."""
    if is_deferred(value):
        return left_for_later(value, at)
    if isinstance(value, Written) and not value.quoted:
        return _typed(value)
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain_data(item, at / str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_data(item, at / number) for number, item in enumerate(value)]
    return at.wrong(value, "plain data", "use text, numbers, lists and mappings")


def text_of(value: Any, at: At) -> Any:
    """A single Python value as the script will read it: `str(value)`."""
    kind = type(value)
    if kind.__name__ in _DATA_CLASSES or kind.__module__.split(".")[0] == "azureml":
        return at.say(
            f"{at} is a {kind.__name__}, which can't be passed to the script yet",
            "pass a path or URI as text",
        )
    if isinstance(value, str):
        text = str(value)
    elif isinstance(value, (bytes, bytearray)):
        return at.wrong(value, "text, not bytes", "decode it")
    elif callable(value) or _nameless(kind):
        return at.say(
            f"{at} is an object of class {kind.__name__} but must be text or a number",
            "pass the text that the script should read",
        )
    else:
        try:
            text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
        except Exception:  # noqa: BLE001 - a class of the author's
            return at.wrong(value, "text or a number")
    return at.wrong(value, "text without NUL characters") if "\0" in text else text


def flattened(script_params: Mapping[str, Any]) -> list[str]:
    """The command line of script parameters: a flag is a name whose value is None or empty."""
    words: list[str] = []
    for name, value in script_params.items():
        words.append(name)
        if isinstance(value, list):
            words.extend(value)
        elif value is not None and value != "":
            words.append(value)
    return words


def as_python(value: Any) -> Any:
    """A list inside a list reaches the script as Python writes it, so `[1, 2]` of a file must be numbers by then."""
    if isinstance(value, (list, tuple)):
        return [as_python(item) if isinstance(item, (list, tuple)) else _scalar(item) for item in value]
    return value


def _scalar(value: Any) -> Any:
    return (str(value) if value.quoted else _typed(value)) if isinstance(value, Written) else value


def left_for_later(value: Any, at: At) -> Any:
    """A template as it is; an XCom argument too, unless everything must be known by now."""
    if at.strict and is_reference(value):
        at.say(
            f"{at} is an XCom argument that was not resolved", "pass the definition as an operator's argument"
        )
        return None
    return str(value) if isinstance(value, str) else value


def has_rank(value: Any) -> bool:
    """False for a numpy scalar or array without dimensions, which looks iterable and isn't."""
    return getattr(value, "ndim", 1) != 0


def _typed(value: Written) -> Any:
    text = str(value)
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if _INTEGER.fullmatch(text) and len(text) < 20:
        return int(text)
    if _REAL.fullmatch(text) and not re.match(r"[-+]?0\d", text) and math.isfinite(number := float(text)):
        return number
    return text


def _nameless(kind: type) -> bool:
    """Whether `str()` of such an object gives its address."""
    return not any({"__str__", "__repr__"} & set(vars(base)) for base in kind.__mro__[:-1])
