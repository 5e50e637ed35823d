"""Exit codes of `airflow-train`, and which error means which."""

from __future__ import annotations

from airflow_train.exceptions import (
    AlreadyExists,
    FileNotInRun,
    NotOwner,
    RunCanceled,
    RunNotCompleted,
    RunNotFound,
    StoreError,
    TrainError,
)

COMPLETED, FAILED, BAD_INPUT, CANCELLED = 0, 1, 2, 3
#: As shells number them: ended by SIGINT, ended by SIGPIPE.
INTERRUPTED, NOBODY_READS = 130, 141


def of_error(error: TrainError) -> int:
    """Bad input where whoever typed the command can mend it, failed otherwise."""
    if isinstance(error, RunCanceled):
        return CANCELLED
    if isinstance(error, RunNotFound | FileNotInRun | AlreadyExists):
        return BAD_INPUT
    return FAILED if isinstance(error, RunNotCompleted | StoreError | NotOwner) else BAD_INPUT


def of_status(status: str) -> int:
    """The code of a run that has ended, or was left while it went on."""
    return {"Failed": FAILED, "Canceled": CANCELLED}.get(status, COMPLETED)
