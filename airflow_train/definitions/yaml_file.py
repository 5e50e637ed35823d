"""YAML as data whose scalars are still the text that their author wrote, and the line of everything.

Parsed from events, not by a loader: nothing is resolved to numbers, dates or booleans here (`kinds.py` does that where
a number is asked for), keys that stand twice are found, and no file can make objects, recurse or blow up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from airflow_train.definitions.report import MOST
from airflow_train.definitions.report import Path as Place
from airflow_train.definitions.text_file import text_of_file
from airflow_train.definitions.values import (
    HIDDEN,
    MAX_DEPTH,
    MAX_VALUES,
    Written,
    line_shown,
    may_hold_secret,
)
from airflow_train.exceptions import DefinitionError

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STR_TAG = "tag:yaml.org,2002:str"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Characters that no YAML file may hold.
_UNPRINTABLE = yaml.reader.Reader.NON_PRINTABLE
_STARTS = (yaml.StreamStartEvent, yaml.DocumentStartEvent)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass
class Document:
    """Mappings, lists, `Written` scalars and None; `lines` holds the line of every path in them."""

    data: Any
    lines: dict[Place, int] = field(default_factory=dict)
    #: A sentence for every name that stands twice, of which the first value counts.
    duplicates: list[tuple[Place, str]] = field(default_factory=list)


class _Stop(Exception):
    """The file can't be read on from here."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


@dataclass
class _Reader:
    events: Iterator[Any]
    lines: dict[Place, int]
    duplicates: list[tuple[Place, str]]
    anchors: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    def value(self, event: Any, path: Place) -> Any:
        line = event.start_mark.line + 1
        self.lines.setdefault(path, line)
        self.count += 1
        if len(path) > MAX_DEPTH:
            raise _Stop(line, f"values are nested deeper than {MAX_DEPTH} levels; flatten the file.")
        if self.count > MAX_VALUES:
            raise _Stop(line, f"the file has more than {MAX_VALUES} values; shorten it.")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, line, path)
        if event.tag not in (None, "!", _STR_TAG):
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            tag = HIDDEN if may_hold_secret(path) else tag
            raise _Stop(line, f"the tag {tag} can't be used in a definition; leave it out.")
        if event.anchor:
            self.anchors[event.anchor] = _Stop
        value = self._content(event, path)
        if event.anchor:
            self.anchors[event.anchor] = value
        return value

    def _content(self, event: Any, path: Place) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            quoted = bool(event.style) or event.tag is not None  # C says "", Python None
            return None if not quoted and event.value in _NULLS else Written(event.value, quoted)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                items.append(self.value(event, (*path, len(items))))
            return items
        return self._mapping(path)

    def _mapping(self, path: Place) -> dict[str, Any]:
        said: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        first: dict[str, int] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            key = self._key(event, line)
            self.lines.setdefault((*path, key), line)
            value = self.value(next(self.events), (*path, key))
            if key == "<<" and not event.style:
                merged |= self._merged(value, line)
            elif key in said:
                if len(self.duplicates) >= MOST:
                    continue
                sentence = f"{key} stands here and in line {first[key]}; keep one of them."
                again = (*path, f"{key}, again in line {line}")
                self.lines[again] = line
                self.duplicates.append((again, sentence))
            else:
                said[key], first[key] = value, line
        return {**merged, **said}

    def _key(self, event: Any, line: int) -> str:
        if isinstance(event, yaml.MappingStartEvent):
            raise _Stop(
                line,
                'a mapping stands where a name must; if this is a template, put it in quotes: "{{ … }}".',
            )
        if not isinstance(event, yaml.ScalarEvent):
            raise _Stop(line, "a list or alias stands where a name must; write a name before the colon.")
        if event.tag not in (None, "!", _STR_TAG):
            raise _Stop(line, f"the tag {event.tag} can't be used in a definition; leave it out.")
        if not event.style and event.value == "":
            raise _Stop(line, "a name is missing before the colon; write one.")
        return str(event.value)

    def _merged(self, value: Any, line: int) -> dict[str, Any]:
        several = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in several):
            raise _Stop(line, "<< must be followed by an alias of a mapping; name one with *.")
        return {key: item for each in reversed(several) for key, item in each.items()}

    def _alias(self, event: Any, line: int, path: Place) -> Any:
        if event.anchor not in self.anchors:
            name = HIDDEN if may_hold_secret(path) else event.anchor
            raise _Stop(line, f"*{name} refers to nothing; write &{name} at a value before it.")
        value = self.anchors[event.anchor]
        if value is _Stop:
            raise _Stop(line, f"*{event.anchor} contains itself; write the value out.")
        self.count += _size(value)
        return value


def parsed(path: Path, *, begin: str = "type: Estimator", partly: bool = False) -> Document:
    """The one document of a YAML file, a mapping.

    :param begin: how such a file may begin, for who wrote an empty one.
    :param partly: leave names that stand twice to the caller, who finds them in `duplicates`.
    :raises DefinitionError: with the line and the mend, for everything that isn't such a file.
    """
    document = _read(text_of_file(path, "a YAML file"), path, begin)
    if document.duplicates and not partly:
        raise DefinitionError(
            f"{path}:{document.lines[place]}: {sentence}" for place, sentence in document.duplicates
        )
    return document


def parsed_value(text: str) -> Any:
    """A single YAML value, in the form that values of a file have; None for an empty text.

    :raises ValueError: it isn't one; says why.
    """
    try:
        events = yaml.parse(text, Loader=_LOADER)
        event = next(one for one in events if not isinstance(one, _STARTS))
        if isinstance(event, yaml.StreamEndEvent):
            return None
        duplicates: list[tuple[Place, str]] = []
        value = _Reader(events, {}, duplicates).value(event, ())
        next(events)
        if duplicates or not isinstance(next(events), yaml.StreamEndEvent):
            raise _Stop(1, "a name or a whole document stands twice; leave one out.")
    except _Stop as stop:
        raise ValueError(str(stop).partition(";")[0]) from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(getattr(error, "problem", None) or error).split())) from error
    return value


def dumped(data: dict[str, Any]) -> str:
    """YAML text that `parsed` reads back as the same data."""
    text = yaml.dump(
        data, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100
    )
    return str(text)


def _read(text: str, path: Path, begin: str) -> Document:
    document = Document({})
    try:
        events = yaml.parse(text, Loader=_LOADER)
        event = next(event for event in events if not isinstance(event, _STARTS))
        if isinstance(event, yaml.StreamEndEvent):
            raise _Stop(1, f"the file is empty; begin it with {begin}.")
        document.data = _Reader(events, document.lines, document.duplicates).value(event, ())
        if not isinstance(document.data, dict):
            found = {list: "a list", type(None): "empty"}.get(type(document.data), "a single value")
            raise _Stop(1, f"the file is {found} but must be a mapping; begin it with {begin}.")
        next(events)
        if isinstance(event := next(events), yaml.DocumentStartEvent):
            sentence = "a second document starts here but a file holds one; move it into a file of its own."
            raise _Stop(int(event.start_mark.line) + 1, sentence)  # type: ignore[union-attr]
    except _Stop as stop:
        raise DefinitionError(f"{path}:{stop.line}: {stop}") from None
    except yaml.YAMLError as error:
        raise DefinitionError(f"{path}:{_line_of(error, text)}: {_syntax(error, text)}") from error
    return document


def _line_of(error: yaml.YAMLError, text: str) -> int:
    if isinstance(error, yaml.reader.ReaderError):
        found = _UNPRINTABLE.search(text)
        return text.count("\n", 0, found.start()) + 1 if found else 1
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return int(mark.line) + 1 if mark is not None else 1


def _syntax(error: yaml.YAMLError, text: str) -> str:
    lines = text.splitlines()
    number = _line_of(error, text)
    line = lines[number - 1] if number <= len(lines) else ""
    if isinstance(error, yaml.reader.ReaderError) and (found := _UNPRINTABLE.search(text)):
        code = f"{ord(found[0]):02x}"
        return f"the character {code} (hexadecimal) can't stand in YAML; leave it out."
    conflict = next((place for place, one in enumerate(lines, 1) if one.startswith("<<<<<<< ")), 0)
    if conflict:
        return f"line {conflict} begins a merge conflict; resolve it."
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "the line is indented with a tab, which YAML forbids; use spaces."
    context: Any = getattr(error, "context_mark", None)
    if context is not None and may_hold_secret("\n".join(lines[context.line : number])):
        line = line if may_hold_secret(line) else f"the password {HIDDEN}"  # it goes on in this line
    if "{{" in line or "{%" in line:
        return f"{line_shown(line)} can't be read as YAML; put the template in quotes."
    problem = " ".join(str(getattr(error, "problem", None) or "it breaks off").split())
    return f"this can't be read as YAML ({problem}); correct {line_shown(line) or 'the end of the file'}."


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(_size(item) for item in value.values())
    return 1 + sum(_size(item) for item in value) if isinstance(value, list) else 1
