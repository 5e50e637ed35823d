"""The kinds of single values that parameters take: how they are checked, and what an editor's schema says of them.

Every kind reads the same three sources: Python values, plain data (whose numbers may be text, because Jinja renders
text) and scalars of a YAML file, which arrive as the text that their author wrote. So nothing is reinterpreted: a
number is a number only where one is asked for, and `010` is never 8.
"""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from airflow_train.definitions.report import At
from airflow_train.definitions.values import Written, either, is_deferred, is_reference, nearest, shown

TEMPLATE = {"type": "string", "pattern": r"\{[{%]", "description": "a Jinja template"}

#: No number of a definition is larger, so that every store and language can read it.
LARGEST = 2**63 - 1

#: Characters of a path and of a name in it, as Linux allows.
_LONGEST_PATH, _LONGEST_NAME = 4096, 255

_WHOLE = re.compile(r"[+-]?\d+")
_REAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_LEADING_ZERO = re.compile(r"[+-]?0\d")


class Kind:
    """What a parameter may hold. `read` gives the value back as plain data, or reports and gives None."""

    #: False: any text may stand here, so a template needs no second look when it was rendered.
    checked = True
    #: Whether XCom arguments may stand inside, so that the kind looks for them itself.
    holds_references = False
    #: False: a template can't stand here either.
    defers = True

    def read(self, value: Any, at: At) -> Any:
        """The checked value."""
        raise AssertionError("every kind reads its own values")

    def initial(self, default: Any) -> Any:
        """The value of a parameter that nobody gave."""
        return deepcopy(default)

    def plain(self, value: Any) -> Any:
        """The value as JSON data."""
        return value

    def says_nothing(self, value: Any) -> bool:
        """Whether a parameter without effect may hold this without a word."""
        del value
        return False

    def schema(self) -> dict[str, Any]:
        """JSON schema of the value."""
        return {}


class Text(Kind):
    """Text, perhaps of a given form or one of a few words."""

    def __init__(
        self,
        *,
        allowed: str = "text",
        mend: str = "",
        pattern: str | None = None,
        choices: Sequence[str] = (),
    ) -> None:
        self.allowed, self.mend, self.pattern, self.choices = allowed, mend, pattern, tuple(choices)
        self.checked = bool(pattern or choices)

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if not isinstance(value, str):
            return at.wrong(value, self.allowed, self.mend)
        text = str(value)
        if "\0" in text:
            return at.wrong(value, "text without NUL characters")
        if self.choices:
            return self._one_of(value, at)
        if not text.strip() or (self.pattern and not self.fits(text)):
            return at.wrong(
                Written(text, quoted=True) if not text.strip() else value, self.allowed, self.mend
            )
        return text

    def fits(self, text: str) -> bool:
        """Whether this is text of the form that is asked for."""
        return bool(re.fullmatch(self.pattern or ".*", text))

    def _one_of(self, value: str, at: At) -> Any:
        for choice in self.choices:
            if choice.lower() == value.lower():
                return choice
        close = nearest(value, self.choices)
        return at.wrong(
            value, either(self.choices), f"did you mean {close}?" if close else "write one of these"
        )

    def schema(self) -> dict[str, Any]:
        if self.choices:
            return {"anyOf": [*any_case(self.choices), TEMPLATE]}
        if self.pattern:
            return {"anyOf": [{"type": "string", "pattern": f"^(?:{self.pattern})$"}, TEMPLATE]}
        return {"type": ["string", "number", "boolean"]}


class PathText(Kind):
    """A path as text, kept as written.

    :param inside: it may not leave the source directory, or the folder that another parameter names.
    :param empty: what an empty one means.
    """

    def __init__(self, *, inside: bool | str = False, empty: str = "") -> None:
        self.inside, self.empty = inside, empty
        self._below = inside if isinstance(inside, str) else "source_directory"
        self.checked = bool(inside)

    def read(self, value: Any, at: At) -> Any:
        if not isinstance(value, (str, os.PathLike)) or isinstance(text := os.fspath(value), bytes):
            return at.wrong(value, "a path", "write it as text")
        if "\0" in text:
            return at.wrong(value, "a path without NUL characters")
        if len(text) > _LONGEST_PATH or max(map(len, text.split("/"))) > _LONGEST_NAME:
            return at.wrong(value, "a path of names that a file can have", "shorten it")
        if self.empty and not text.strip():
            return self.empty
        if self.inside:
            if not text.strip():
                return at.wrong(
                    Written(text, quoted=True),
                    f"a path below {self._below}",
                    "name the file or leave it out",
                )
            parts = text.replace("\\", "/").split("/")
            if text.startswith(("/", "~")) or ".." in parts:
                return at.wrong(
                    value,
                    f"a relative path below {self._below}",
                    "move the file there and name it from there",
                )
        return str(text)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


class Integer(Kind):
    """A whole number; text of digits is one too, since Jinja renders text."""

    def __init__(self, *, minimum: int = 1, mend: str = "") -> None:
        self.minimum, self.mend = minimum, mend

    def read(self, value: Any, at: At) -> Any:
        number: int | None = None
        if isinstance(value, str):
            text = value.strip()
            if _LEADING_ZERO.match(text):
                return _leading_zero(value, at)
            number = int(text) if _WHOLE.fullmatch(text) and len(text) < 30 else None
        elif not isinstance(value, bool):
            try:
                number = operator.index(value)
            except TypeError:
                number = None
        if number is None:
            return at.wrong(value, "a whole number", self.mend)
        if number < self.minimum:
            return at.wrong(value, f"at least {self.minimum}", self.mend)
        return number if number <= LARGEST else at.wrong(value, f"at most {LARGEST}", self.mend)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": self.minimum}, TEMPLATE]}


class Number(Kind):
    """A finite number of at least `minimum`, or above it."""

    def __init__(self, *, minimum: float = 0.0, above: bool = False, mend: str = "") -> None:
        self.minimum, self.above, self.mend = minimum, above, mend

    def read(self, value: Any, at: At) -> Any:
        number = math.nan
        if isinstance(value, str):
            text = value.strip()
            if _LEADING_ZERO.match(text):
                return _leading_zero(value, at)
            number = float(text) if _REAL.fullmatch(text) else math.nan
        elif not isinstance(value, bool):
            try:
                number = float(value)
            except (TypeError, ValueError, OverflowError):
                number = math.nan
        if not math.isfinite(number):
            return at.wrong(value, "a finite number", self.mend)
        if number < self.minimum or (self.above and number == self.minimum):
            return at.wrong(value, f"{'above' if self.above else 'at least'} {self.minimum:g}", self.mend)
        return int(number) if number.is_integer() and abs(number) < 1e15 else number

    def schema(self) -> dict[str, Any]:
        limit = "exclusiveMinimum" if self.above else "minimum"
        return {"anyOf": [{"type": "number", limit: self.minimum}, TEMPLATE]}


class IntegerList(Kind):
    """A list of whole numbers between two limits."""

    holds_references = True

    def __init__(self, *, minimum: int, maximum: int, example: str) -> None:
        self.minimum, self.maximum, self.example = minimum, maximum, example
        self.item = Integer(minimum=minimum)

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, (str, bytes, Mapping, set, frozenset)) or not isinstance(value, Iterable):
            return at.wrong(value, "a list of whole numbers", f"write {self.example}")
        return [self._item(item, at / number) for number, item in enumerate(value)]

    def _item(self, item: Any, at: At) -> Any:
        if deferred(item, self.item, at):
            return item
        number = self.item.read(item, at)
        if number is not None and number > self.maximum:
            return at.wrong(item, f"at most {self.maximum}", f"write {self.example}")
        return number

    def schema(self) -> dict[str, Any]:
        limits = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": "array", "items": {"anyOf": [{"type": "integer", **limits}, TEMPLATE]}}


class Flag(Kind):
    """True or false; `yes`, `no`, `on` and `off` are text to half of all YAML readers, so they are refused."""

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if isinstance(value, bool) or type(value).__name__ in {"bool_", "bool"}:
            return bool(value)
        return at.wrong(value, "true or false", "write one of these two")

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "boolean"}, TEMPLATE]}


def deferred(value: Any, kind: Kind, at: At) -> bool:
    """Whether `value` is left alone for now; a strict reading refuses what should have been rendered."""
    if not kind.defers or not is_deferred(value):
        return False
    if is_reference(value):
        if at.strict:
            at.say(
                f"{at} is an XCom argument that was not resolved",
                "pass the definition as an operator's argument",
            )
        return True
    if at.strict and kind.checked:
        at.say(
            f"{at} is {shown(value)}, a template that was not rendered",
            "run it from a DAG, or write the value itself",
        )
        return True
    return True


def any_case(words: Sequence[str]) -> list[dict[str, Any]]:
    """Schemas of words: as an editor offers them, and as they may be written."""
    spelled = [
        "".join(f"[{one.upper()}{one.lower()}]" if one.isalpha() else one for one in word) for word in words
    ]
    return [{"enum": list(words)}, {"type": "string", "pattern": f"^(?:{'|'.join(spelled)})$"}]


def _leading_zero(value: Any, at: At) -> Any:
    return at.say(
        f"{at} is {shown(value)}, which some readers take for octal, but must have no leading zeros",
        f"write {shown(value).strip(chr(39)).lstrip('0') or '0'}",
    )
