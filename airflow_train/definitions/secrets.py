"""The kinds of parameters that are secrets or stand beside them: no message ever repeats what was found there."""

from __future__ import annotations

from typing import Any

from airflow_train.definitions.kinds import Kind, Text
from airflow_train.definitions.report import At
from airflow_train.definitions.values import is_deferred


class Secret(Kind):
    """A reference to a secret, never the secret: what is found is not repeated in the message."""

    defers = False
    SCHEMES = ("connection:", "variable:", "env:")

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, str) and not is_deferred(value):
            for scheme in self.SCHEMES:
                if value.startswith(scheme) and value[len(scheme) :].strip():
                    return str(value)
        at.say(
            f"{at} is a literal (not shown) but must be a reference, because definitions are stored and displayed",
            "write connection:NAME, variable:NAME or env:NAME",
        )
        return None

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^(connection|variable|env):.+$"}


class Public(Text):
    """Text beside a secret, which must hold no secret itself: what is found is not repeated in the message."""

    def __init__(self, *, without: str, references: bool = False) -> None:
        super().__init__()
        self.without, self.references = without, references

    def read(self, value: Any, at: At) -> Any:
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            return at.say(f"{at} is a value (not shown) but must be text", "write a name in quotes")
        if self.references and value.startswith(Secret.SCHEMES):
            return str(value)
        if any(mark in value for mark in self.without):
            return at.say(
                f"{at} (not shown) seems to hold a password, which definitions never do",
                "leave that out and write password: connection:NAME, variable:NAME or env:NAME",
            )
        return str(value)
