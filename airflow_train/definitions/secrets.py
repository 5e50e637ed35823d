"""The kinds of parameters that are secrets or stand beside them: no message ever repeats what was found there.

A definition holds references, which are resolved when the run is launched:

    connection:ID/FIELD   login, password, host, schema, port, uri, extra (all of it) or extra.KEY of a connection
    connection:ID         the whole connection as a URI
    variable:NAME         an Airflow variable
    env:NAME              an environment variable of the process that launches the run
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_train.definitions.kinds import Kind, Text
from airflow_train.definitions.report import At
from airflow_train.definitions.values import is_deferred, is_template
from airflow_train.runtime import protocol

#: Parts of a connection that can be named; `extra.KEY` too.
FIELDS = ("login", "password", "host", "schema", "port", "uri", "extra")
#: Parts that Airflow itself shows: they are handed over like secrets, but may stand elsewhere in a definition.
_OPEN = frozenset({"login", "host", "schema", "port"})
#: Names that launchers set for every rank.
_TAKEN = frozenset({
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "TF_CONFIG",
    "PYTHONPATH",
})  # fmt: skip
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_WAYS = "connection:ID/password, variable:NAME or env:NAME"


class Reference(NamedTuple):
    """Where a secret is kept."""

    scheme: str
    name: str
    #: Part of a connection; empty otherwise.
    field: str = ""

    @property
    def private(self) -> bool:
        """Is the value itself secret, and not only part of how to get somewhere?"""
        return self.field not in _OPEN


def reference(text: str) -> Reference:
    """What a reference says.

    :raises ValueError: it is none; the sentence, without the text, says what is wrong and how to mend it.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or f"{scheme}:" not in Secret.SCHEMES or not rest.strip():
        raise ValueError(
            "is a literal (not shown) but must be a reference, because definitions are stored and displayed; "
            f"write {_WAYS}"
        )
    if scheme == "env":
        return _environment(rest)
    if scheme == "variable":
        return Reference(scheme, rest.strip())
    name, slash, field = rest.strip().rpartition("/")
    if not slash:
        return Reference(scheme, rest.strip(), "uri")
    if not name or (field not in FIELDS and not re.fullmatch(r"extra\..+", field)):
        raise ValueError(
            f"names a part of a connection (not shown) that there isn't; after the last / write {', '.join(FIELDS)} "
            "or extra.KEY"
        )
    return Reference(scheme, name, field)


def _environment(name: str) -> Reference:
    if not _VARIABLE.fullmatch(name) and not is_template(name):
        raise ValueError("names an environment variable (not shown) that can't be; write env:NAME")
    if name.startswith(protocol.WITHHELD_PREFIXES):
        raise ValueError(
            "names a variable with Airflow's own settings, which never reach a script; "
            "write connection:ID/password or variable:NAME"
        )
    return Reference("env", name)


class Secrets(Kind):
    """Environment variables of the script whose values are references to secrets."""

    defers = False

    def read(self, value: Any, at: At) -> Any:
        if not isinstance(value, Mapping):
            return at.say(
                f"{at} is a value (not shown) but must be a mapping of variables to references",
                'write NAME: "connection:ID/password", one per line',
            )
        return {
            str(name): str(item)
            for name, item in value.items()
            if _nameable(name, at) and _leads(item, at / name)
        }

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^{_VARIABLE.pattern}$"},
            "additionalProperties": Secret().schema(),
        }


def _nameable(name: Any, at: At) -> bool:
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        at.say(  # whoever has mixed up the sides wrote a secret there
            f"{at} holds a name (not shown) that no environment variable can have",
            "name variables by letters, digits and _, as in WANDB_API_KEY",
        )
        return False
    if name in _TAKEN or name.startswith(protocol.WITHHELD_PREFIXES):
        (at / name).say(
            f"{at / name} can't be given, because every rank gets a variable of that name", "rename it"
        )
        return False
    return True


def _leads(item: Any, at: At) -> bool:
    """Is this a reference? Its name may be a template, which is rendered before it is looked up."""
    try:
        reference(item if isinstance(item, str) else "")
    except ValueError as error:
        finding, _, mend = str(error).partition("; ")
        at.say(f"{at} {finding}", mend)
        return False
    if at.strict and is_template(item):
        at.say(f"{at} holds a template that was not rendered", "run it from a DAG, or write the name itself")
        return False
    return True


def refuse_twice(at: At, secrets: Any, variables: Any) -> None:
    """Report variables that are given as secrets and in the open; what isn't rendered yet isn't looked at."""
    both = set(secrets or ()).intersection(variables if isinstance(variables, Mapping) else ())
    for name in sorted(both):
        (at / "secrets" / name).say(
            f"{at / 'secrets' / name} is given in environment_variables too", "leave it out there"
        )


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
