"""Small questions about values that several files ask: is it a template, how was it written, what is near it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Self

_LONGEST = 80

#: Deepest nesting, and most values, of a definition.
MAX_DEPTH, MAX_VALUES = 50, 100_000
#: Bits of a whole number that Python still writes out.
_MAX_BITS = 14_000

#: What stands in place of a value that nobody must read in a log.
HIDDEN = "(not shown)"
_SECRETIVE = re.compile(
    r"pass(word|wd|phrase)?|pwd|secret|token|key|credential|registry|://[^/\s]*@", re.IGNORECASE
)
_NAME = re.compile(r"\s*(?:- +)?(['\"]?)[\w.-]+\1\s*:(?=\s|$)")


class Written(str):
    """A scalar of a YAML file exactly as its author wrote it; `quoted` says that it stood in quotes or in a block."""

    __slots__ = ("quoted",)
    quoted: bool

    def __new__(cls, text: str, quoted: bool = False) -> Self:
        self = super().__new__(cls, text)
        self.quoted = quoted
        return self


def may_hold_secret(text: object) -> bool:
    """Whether the words suggest a password, token or key near by, so that messages leave the value out."""
    return _SECRETIVE.search(str(text)) is not None


def line_shown(line: str) -> str:
    """A line of a YAML file for a sentence, without its value where that may be a secret."""
    if not may_hold_secret(line):
        return shown(Written(line.strip()))
    name = _NAME.match(line)
    return f"{name[0].strip()} {HIDDEN}" if name else f"the line {HIDDEN}"


def is_template(value: object) -> bool:
    """Whether Jinja would have something to do in this text."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def is_reference(value: object) -> bool:
    """Whether this is an Airflow XCom argument (seen by its shape: this room doesn't know Airflow)."""
    kind = type(value)
    return callable(getattr(kind, "iter_references", None)) and callable(getattr(kind, "resolve", None))


def is_deferred(value: object) -> bool:
    """Whether the real value is known only when the task runs."""
    return is_template(value) or is_reference(value)


def unfit(value: object) -> str:
    """What makes a Python value as a whole too much for a definition, and the mend; empty when nothing does."""
    waiting: list[tuple[object, int]] = [(value, 0)]
    count = 0
    while waiting:
        one, depth = waiting.pop()
        count += 1
        if isinstance(one, int) and one.bit_length() > _MAX_BITS:
            return "is a number of more than 4000 digits; write a smaller one"
        if isinstance(one, range):
            count += one.stop - one.start if one.step == 1 else 0
        if isinstance(one, str) and not one.isascii() and not _is_unicode(one):
            return "holds text that isn't Unicode; write it without half characters"
        inside: Iterable[object] = ()
        if isinstance(one, Mapping):
            inside = (*one.keys(), *one.values())
        elif isinstance(one, (list, tuple, set, frozenset)):
            inside = one
        if inside and depth == MAX_DEPTH:
            return f"is nested deeper than {MAX_DEPTH} levels; flatten it"
        waiting += [(each, depth + 1) for each in inside]
        if count + len(waiting) > MAX_VALUES:
            return f"holds more than {MAX_VALUES} values; shorten it"
    return ""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: object) -> str:
    """The value as its author wrote it, short enough for a sentence."""
    if isinstance(value, Written):
        text = repr(str(value)) if value.quoted else str(value)
    elif value is None:
        return "empty"
    else:
        try:
            text = repr(value)
        except Exception:  # noqa: BLE001 - a class of the author's; any value can be shown
            return f"an object of class {type(value).__name__}"
        if isinstance(value, (dict, list, tuple)) and len(text) > _LONGEST:
            return f"a {type(value).__name__} of {len(value)}"
    text = text.replace("\n", "\\n")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known name that the author most likely meant."""
    import difflib  # 3 ms, for errors only

    if not isinstance(name, str) or len(name) > _LONGEST:
        return None
    names = {_folded(each): each for each in known}
    found = difflib.get_close_matches(_folded(name), names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


def either(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = list(names)
    return f"{', '.join(most)} or {last}" if most else last


def _folded(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()
