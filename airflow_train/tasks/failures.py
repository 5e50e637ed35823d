"""Our errors as Airflow's: what the author of the DAG has to mend is not retried, the rest is Airflow's to decide."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from airflow_train.exceptions import (
    ConfigurationError,
    DefinitionError,
    FileNotInRun,
    ModelError,
    NotOwner,
    RunCanceled,
    RunNotCompleted,
    RunNotFound,
    SnapshotError,
    UnsupportedByTarget,
)
from airflow_train.tasks import retrying
from airflow_train.tasks.compat import AirflowFailException

#: The same again can't end differently, or somebody wanted it so.
FINAL = (
    ConfigurationError,
    DefinitionError,
    FileNotInRun,
    ModelError,
    NotOwner,
    RunCanceled,
    RunNotFound,
    SnapshotError,
    UnsupportedByTarget,
)


@contextmanager
def translated(retry_on: Collection[str] | None = None) -> Iterator[None]:
    """Raise what must not be retried as AirflowFailException with the same sentence.

    :param retry_on: names (`retrying.names`) of the ends of a run that may be retried; None for all.
    """
    try:
        yield
    except FINAL as error:
        raise AirflowFailException(str(error)) from error
    except RunNotCompleted as error:
        name = retrying.name_of(error)
        if retry_on is None or name is None or name in retry_on:
            raise
        allowed = f"only {', '.join(retry_on)}" if retry_on else "nothing"
        raise AirflowFailException(f"{error}\nNot tried again: retry_on allows {allowed}.") from error
