"""One compute target after the other, as commands that are about all of them visit them."""

from __future__ import annotations

from collections.abc import Callable

from airflow_train import definitions, targets
from airflow_train.cli import screen
from airflow_train.exceptions import TrainError
from airflow_train.targets.base import Target


def visit(do: Callable[[str, Target], object], only: str | None = None) -> None:
    """Do something with every target that has a name; who doesn't answer is passed over, with a warning.

    :param only: name of the one that is meant, which has to answer.
    :raises DefinitionError: there is none of that name.
    :raises TrainError: that one doesn't answer.
    """
    named = definitions.named_targets() if only is None else {only: definitions.resolve_compute_target(only)}
    for name, resolved in named.items():
        if resolved["type"] not in targets.types():
            continue
        try:
            do(name, targets.get(resolved))
        except TrainError as error:
            if only is not None:
                raise
            screen.warn(f"compute target {name} wasn't looked at: {error}")
