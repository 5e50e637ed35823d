"""Mapped tasks: definitions among their arguments become plain data when the DAG file is read, as elsewhere.

Airflow makes the operators of mapped tasks when they run, and keeps their arguments until then as they were given. In
an object it renders no template and sees no XCom argument: the script would get the text of the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk.definitions.mappedoperator import OperatorPartial

from airflow_train.tasks import plain


class Partial(OperatorPartial):
    """What `partial` of our operators returns."""

    def expand(self, **mapped_kwargs: Any) -> Any:
        """As of every operator."""
        lists = {
            name: [arguments({name: one})[name] for one in values]
            if isinstance(values, list | tuple)
            else values
            for name, values in mapped_kwargs.items()
        }
        return super().expand(**lists)

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> Any:
        """As of every operator."""
        if isinstance(kwargs, list | tuple):
            kwargs = [arguments(one) if isinstance(one, Mapping) else one for one in kwargs]
        return super().expand_kwargs(kwargs, strict=strict)


def of(made: Any) -> Partial:
    """The same partial operator, which takes definitions when it is expanded."""
    made._expand_called = True  # noqa: SLF001 - it warns otherwise that it never was
    return Partial(operator_class=made.operator_class, kwargs=made.kwargs, params=made.params)


def arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an operator, those that are objects of ours as plain data.

    :raises DefinitionError: a value of a definition that is no template breaks a rule.
    """
    return {name: _plain(name, value) for name, value in given.items()}


def _plain(name: str, value: Any) -> Any:
    if not hasattr(value, "to_dict"):
        return value
    if name == "estimator":
        return plain.at_parse(value, None)
    return value.to_dict() if name == "distributed_training" else value
