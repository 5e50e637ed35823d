"""The kinds of parameters that hold several values: lists, mappings, script parameters, free data."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_train.definitions.kinds import Kind
from airflow_train.definitions.report import At
from airflow_train.definitions.suspects import note_value, note_words
from airflow_train.definitions.values import Written, is_deferred, is_reference

_PROGRAM = "write a program and its arguments, or leave it out"
#: Characters of one argument of a command, as Linux allows.
_LONGEST_WORD = 131_071
_SCALAR = {"type": ["string", "number", "boolean"]}
_INTEGER = re.compile(r"-?(0|[1-9]\d*)")
_REAL = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?")

#: Classes of the original that stand for data, by name: they can't be script parameters yet.
_DATA_CLASSES = frozenset({
    "Data", "DataReference", "Dataset", "DatasetConsumptionConfig", "Datastore", "FileDataset", "OutputData",
    "OutputDatasetConfig", "OutputFileDatasetConfig", "OutputTabularDatasetConfig", "PipelineData", "TabularDataset",
})  # fmt: skip


class TextList(Kind):
    """A list of texts."""

    checked = True
    holds_references = True

    def __init__(self, example: str = "[numpy, scipy]") -> None:
        self.example = example

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, (str, bytes, Mapping, set, frozenset)) or not isinstance(value, Iterable):
            return at.wrong(value, "a list", f"write {self.example}")
        return [
            text for number, item in enumerate(value) if (text := self._item(item, at / number)) is not None
        ]

    def _item(self, item: Any, at: At) -> Any:
        if is_deferred(item):
            return _left_for_later(item, at)
        if not isinstance(item, (str, os.PathLike)) or not os.fspath(item).strip():
            return at.wrong(item, "text", f"write {self.example}")
        return str(os.fspath(item))

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string"}}


class TextMap(Kind):
    """Names with text values; numbers and booleans are taken as they are written."""

    checked = True
    holds_references = True

    def __init__(self, what: str, *, environment: bool = False) -> None:
        self.what = what
        self.environment = environment

    def read(self, value: Any, at: At) -> Any:
        if not isinstance(value, Mapping):
            return at.wrong(
                value, "a mapping of names to text", f"write {self.what} as NAME: value, one per line"
            )
        return {str(name): self._value(name, item, at / str(name)) for name, item in value.items()}

    def _value(self, name: Any, item: Any, at: At) -> Any:
        if not str(name).strip() or "\0" in str(name) or (self.environment and "=" in str(name)):
            return at.say(f"{at} has a name that can't be used", "give it a name without = and NUL")
        if self.environment:
            note_value(str(name), item, at)
        if is_deferred(item):
            return _left_for_later(item, at)
        if item is None:
            return at.wrong(item, "text", 'write "" for an empty text')
        if isinstance(item, (Mapping, list, tuple, set, frozenset)):
            return at.wrong(item, "text", "put it in quotes")
        return text_of(item, at)

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": _SCALAR}


class ScriptParams(Kind):
    """The script's command line as a mapping: a name and its value, a list of values, or nothing for a flag."""

    checked = True
    holds_references = True

    def read(self, value: Any, at: At) -> Any:
        if not isinstance(value, Mapping):
            return at.wrong(
                value, "a mapping of argument names to values", "write --name: value, one per line"
            )
        return {
            str(name): self._value(str(name), item, at / str(name))
            for name, item in value.items()
            if self._named(name, at)
        }

    def _named(self, name: Any, at: At) -> bool:
        if named := bool(str(name).strip()) and "\0" not in str(name):
            return named
        (at / str(name)).say(f"{at} has a name that can't be an argument", "write --name: value")
        return False

    def _value(self, name: str, item: Any, at: At) -> Any:
        if item is None:
            return None
        note_value(name, item, at)
        if is_deferred(item):
            return _left_for_later(item, at)
        if isinstance(item, (Mapping, set, frozenset)):
            return at.wrong(
                item, "one value or a list of values", "write the values in a list, in their order"
            )
        if isinstance(item, Iterable) and not isinstance(item, (str, bytes, os.PathLike)) and _rank(item):
            return [self._part(part, at / number) for number, part in enumerate(item)]
        return text_of(item, at)

    def _part(self, part: Any, at: At) -> Any:
        if is_deferred(part):
            return _left_for_later(part, at)
        if part is None:
            return at.wrong(part, "text or a number", "leave it out of the list")
        return text_of(_as_python(part), at)

    def schema(self) -> dict[str, Any]:
        one: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
        return {
            "type": "object",
            "additionalProperties": {"anyOf": [one, {"type": "array", "items": _SCALAR}]},
        }


class Arguments(Kind):
    """A command line as a list of words, or as one text that is split like a shell does, unless `whole`."""

    checked = False
    holds_references = True

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, str):
            return self._text(value, at)
        if isinstance(value, (bytes, Mapping, set, frozenset)) or not isinstance(value, Iterable):
            return at.wrong(value, "a list of words or one text", "write [--name, value]")
        words = [self._word(word, at / number) for number, word in enumerate(value)]
        note_words(words, at)
        if self.whole and not words:
            return at.say(f"{at} is an empty list but must be a command", _PROGRAM)
        if self.whole and isinstance(words[0], str) and not words[0].strip():
            return (at / 0).wrong(Written(words[0], quoted=True), "a program", _PROGRAM)
        return words

    def _text(self, value: str, at: At) -> Any:
        if "\0" in value:
            return at.wrong(value, "text without NUL characters")
        if len(value) > _LONGEST_WORD:
            return at.say(
                f"{at} has {len(value)} characters but Linux takes {_LONGEST_WORD}", "put it in a file"
            )
        if self.whole:
            note_words(value.split(), at)
            return (
                str(value) if value.strip() else at.wrong(Written(value, quoted=True), "a command", _PROGRAM)
            )
        try:
            words = shlex.split(value)
        except ValueError:
            return at.wrong(value, "text whose quotes are closed", "close the quotes or write a list")
        note_words(words, at)
        return words

    def _word(self, word: Any, at: At) -> Any:
        if is_deferred(word):
            return _left_for_later(word, at)
        if word is None:
            return at.wrong(word, "text or a number", 'leave it out, or write "" for an empty word')
        return text_of(word, at)

    def schema(self) -> dict[str, Any]:
        least = {"minItems": 1} if self.whole else {}
        return {"anyOf": [{"type": "array", "items": _SCALAR, **least}, {"type": "string"}]}


class Data(Kind):
    """Free plain data: what YAML and JSON can say. Unquoted YAML scalars get the type that YAML 1.2 gives them."""

    checked = False
    holds_references = True

    def __init__(self, shape: str = "") -> None:
        self.shape = shape

    def read(self, value: Any, at: At) -> Any:
        if self.shape == "list" and (isinstance(value, str) or not isinstance(value, (list, tuple))):
            return at.wrong(value, "a list", "write it as a list")
        if self.shape == "mapping" and not isinstance(value, Mapping):
            return at.wrong(value, "a mapping", "write NAME: value, one per line")
        return plain_data(value, at)

    def schema(self) -> dict[str, Any]:
        return {"type": {"list": "array", "mapping": "object"}[self.shape]} if self.shape else {}


def plain_data(value: Any, at: At) -> Any:
    """JSON data of any depth; anything else is reported."""
    if is_deferred(value):
        return _left_for_later(value, at)
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


def _as_python(value: Any) -> Any:
    """A list inside a list reaches the script as Python writes it, so `[1, 2]` of a file must be numbers by then."""
    if isinstance(value, (list, tuple)):
        return [_as_python(item) if isinstance(item, (list, tuple)) else _scalar(item) for item in value]
    return value


def _scalar(value: Any) -> Any:
    return (str(value) if value.quoted else _typed(value)) if isinstance(value, Written) else value


def _left_for_later(value: Any, at: At) -> Any:
    if at.strict and is_reference(value):
        at.say(
            f"{at} is an XCom argument that was not resolved", "pass the definition as an operator's argument"
        )
        return None
    return str(value) if isinstance(value, str) else value


def _rank(value: Any) -> bool:
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
