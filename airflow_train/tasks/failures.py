"""Our errors as Airflow's: what the author of the DAG has to mend is not retried, the rest is Airflow's to decide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_train.exceptions import (
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
def translated() -> Iterator[None]:
    """Raise what must not be retried as AirflowFailException with the same sentence; a failed script may be retried."""
    try:
        yield
    except FINAL as error:
        raise AirflowFailException(str(error)) from error
