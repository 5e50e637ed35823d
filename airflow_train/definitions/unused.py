"""Kinds of parameters that the original has and that mean nothing here: refused, or accepted with a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_train.definitions.kinds import Kind
from airflow_train.definitions.report import At


class Never(Kind):
    """A parameter of the original that has to stay empty, or as it usually is; the sentence says why."""

    def __init__(self, sentence: str, *, usual: Sequence[Any] = ()) -> None:
        self.sentence, self.usual = sentence, usual

    def read(self, value: Any, at: At) -> None:
        if not _says_no_more(value, self.usual):
            at.say(f"{at} {self.sentence}")

    def schema(self) -> dict[str, Any]:
        return {"enum": [None, *self.usual]}


class Anything(Kind):
    """A parameter that is accepted and has no meaning here.

    :param usual: what the original writes of itself, which nobody need be warned of.
    """

    checked = False

    def __init__(self, *, usual: Sequence[Any] = ()) -> None:
        self.usual = usual

    def says_nothing(self, value: Any) -> bool:
        return _says_no_more(value, self.usual)

    def read(self, value: Any, at: At) -> None:
        del value, at


def _says_no_more(value: Any, usual: Sequence[Any]) -> bool:
    """Whether a value says the same as one of the usual ones, which may be text in a file."""
    return any(_folded(value) == _folded(one) for one in usual)


def _folded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _folded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_folded(item) for item in value]
    return str(value).lower() if isinstance(value, (str, int, float)) else value
