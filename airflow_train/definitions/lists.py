"""The kinds of parameters that hold several values: lists, mappings, script parameters, free data."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_train.definitions.kinds import Kind
from airflow_train.definitions.report import At
from airflow_train.definitions.suspects import note_value, note_words
from airflow_train.definitions.values import Written, is_deferred
from airflow_train.definitions.words import as_python, has_rank, left_for_later, plain_data, text_of
from airflow_train.runtime import protocol

_PROGRAM = "write a program and its arguments, or leave it out"
#: Characters of one argument of a command, as Linux allows.
_LONGEST_WORD = 131_071
_SCALAR = {"type": ["string", "number", "boolean"]}


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
            return left_for_later(item, at)
        if not isinstance(item, (str, os.PathLike)) or not os.fspath(item).strip():
            return at.wrong(item, "text", f"write {self.example}")
        return str(os.fspath(item))

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string"}}


#: Variables that a run's own processes set for its script.
_OURS = frozenset({
    protocol.RUN_ID, protocol.EXPERIMENT, protocol.METRICS, protocol.FILES, protocol.TAGS, protocol.RANK,
    protocol.CANCEL, protocol.SECRETS, protocol.PREVIOUS_OUTPUTS, protocol.STACKS, protocol.WATCHED,
    protocol.PROPERTIES, protocol.MODELS,
})  # fmt: skip


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
        if self.environment and name in _OURS:
            return at.say(
                f"{at} can't be given, because every rank gets a variable of that name", "rename it"
            )
        if self.environment:
            note_value(str(name), item, at)
        if is_deferred(item):
            return left_for_later(item, at)
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
            return left_for_later(item, at)
        if isinstance(item, (Mapping, set, frozenset)):
            return at.wrong(
                item, "one value or a list of values", "write the values in a list, in their order"
            )
        if isinstance(item, Iterable) and not isinstance(item, (str, bytes, os.PathLike)) and has_rank(item):
            return [self._part(part, at / number) for number, part in enumerate(item)]
        return text_of(item, at)

    def _part(self, part: Any, at: At) -> Any:
        if is_deferred(part):
            return left_for_later(part, at)
        if part is None:
            return at.wrong(part, "text or a number", "leave it out of the list")
        return text_of(as_python(part), at)

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
            return left_for_later(word, at)
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
