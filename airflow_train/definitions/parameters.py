"""The table of parameters that a definition class is made of, and the signature and help that follow from it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from airflow_train.definitions.kinds import Kind

REQUIRED: Any = inspect.Parameter.empty


class Param:
    """One row of the table: a parameter, what it may hold and what it means."""

    __slots__ = ("default", "deprecated_for", "doc", "kind", "kw_only", "meaningless", "name", "unsaid")

    def __init__(
        self,
        kind: Kind,
        *,
        default: Any,
        doc: str,
        kw_only: bool,
        deprecated_for: str,
        meaningless: str,
        unsaid: str,
    ) -> None:
        self.name = ""
        self.kind, self.default, self.doc, self.kw_only = kind, default, doc, kw_only
        self.deprecated_for, self.meaningless, self.unsaid = deprecated_for, meaningless, unsaid

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def initial(self) -> Any:
        """The value of a parameter that nobody gave."""
        return self.kind.initial(None if self.default is REQUIRED else self.default)

    @property
    def kept(self) -> bool:
        """False for names that are only accepted: their value moves to a successor or is dropped."""
        return not (self.deprecated_for or self.meaningless)


def param(
    kind: Kind,
    *,
    default: Any = REQUIRED,
    doc: str,
    kw_only: bool = True,
    deprecated_for: str = "",
    meaningless: str = "",
    unsaid: str = "",
) -> Any:
    """A row of the table of parameters.

    :param kind: what it may hold.
    :param deprecated_for: the name that replaces this one, or a parameter of what that name holds, after a dot.
    :param meaningless: why this one is accepted and has no effect.
    :param unsaid: the warning for who leaves it out.
    """
    return Param(
        kind,
        default=default,
        doc=doc,
        kw_only=kw_only,
        deprecated_for=deprecated_for,
        meaningless=meaningless,
        unsaid=unsaid,
    )


def signature(rows: Mapping[str, Param]) -> inspect.Signature:
    """What `help` and editors show of a class with these parameters."""
    return inspect.Signature(
        [
            inspect.Parameter(
                row.name,
                inspect.Parameter.KEYWORD_ONLY if row.kw_only else inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=row.default,
            )
            for row in rows.values()
        ]
    )


def documented(text: str | None, rows: Mapping[str, Param]) -> str:
    """A class's own words, and those of its parameters."""
    lines = [inspect.cleandoc(text or "").rstrip(), ""]
    for row in rows.values():
        doc = row.doc
        if row.deprecated_for:
            doc = f"deprecated, use `{row.deprecated_for}`."
        elif row.meaningless:
            doc = f"accepted without effect: {row.meaningless}."
        lines.append(f":param {row.name}: {doc}")
    return "\n".join(lines)
