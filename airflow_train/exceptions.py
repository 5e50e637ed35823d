"""Every error this package raises on purpose, in one tree.

    TrainError                      base: one sentence that names place, finding and mend
    ├── DefinitionError             the estimator is wrong                     the author mends it
    ├── ConfigurationError          an option, target or extra is wrong        whoever runs it mends it
    │   └── SecretNotFound          a reference to a secret leads to nothing   whoever keeps the secrets
    ├── UnsupportedByTarget         right, but this compute target can't       the author picks another
    ├── SnapshotError               the source directory can't travel          the author trims or ignores files
    ├── StoreError                  the run store refused or is damaged        the operator of the store
    │   ├── RunNotFound             no run of that id                          the caller corrects the id
    │   ├── FileNotInRun            no such file among the run's files         the caller picks one that is there
    │   └── AlreadyExists           a name that is written once is taken       the caller picks another name
    ├── ModelError                  a model can't be registered or read        the caller corrects name or path
    │   └── ModelNotFound           no such model or version
    ├── WaitInterrupted             Ctrl-C while waiting; the run goes on      nobody: wait again, or cancel it
    ├── NotOwner                    somebody newer owns the run                nobody: step back
    └── RunNotCompleted             a run ended, but not well; carries `run_id`
        ├── RunFailed               the script failed                          the author; a retry won't help
        │   ├── BuildFailed         its environment can't be built         the author corrects the packages
        │   ├── OutOfMemory         a rank met its memory limit
        │   ├── TimeLimitReached    `max_run_duration_seconds` passed
        │   └── NoProgress          `no_progress_timeout` passed: it hung    the message names rank and call
        ├── InfrastructureFailure   the machine, not the script                nobody: a retry may help
        │   └── WorkerLeft          the task's worker went away, the run goes on; the next try takes it over
        └── RunCanceled             somebody asked for it                      nobody

`retry_helps` says whether doing the same again can end differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class TrainError(Exception):
    """Base of all errors of this package. `str(error)` is one sentence for the person who wrote the DAG."""

    retry_helps: ClassVar[bool] = False


def printable(text: str) -> str:
    """One line that a terminal shows as it is, whatever a file or value is called."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


class DefinitionError(TrainError):
    """A definition breaks one or more rules; `problems` holds one sentence each."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = tuple(map(printable, (problems,) if isinstance(problems, str) else problems))
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[DefinitionError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class ConfigurationError(TrainError):
    """An option of `[train]`, the targets file or an optional package is missing or wrong."""


class SecretNotFound(ConfigurationError):
    """A secret that a definition refers to can't be read here."""


class UnsupportedByTarget(TrainError):
    """The definition asks for something that the compute target can't honour."""


class SnapshotError(TrainError):
    """The source directory is too large, has unreadable parts or reaches outside itself."""


class StoreError(TrainError):
    """The run store can't be used, or holds something this version doesn't understand."""


class RunNotFound(StoreError):
    """No run of that id in the store."""


class FileNotInRun(StoreError):
    """The run has no file of that name."""


class AlreadyExists(StoreError):
    """Something that is written once is there already."""


class ModelError(TrainError):
    """A model can't be registered, read or removed as asked."""


class ModelNotFound(ModelError):
    """No model of that name and version."""


class NotOwner(TrainError):
    """Somebody newer owns the run, so this process must not act on it."""


class WaitInterrupted(TrainError):
    """Somebody stopped waiting for a run, which goes on."""


class RunNotCompleted(TrainError):
    """A run ended, but not as Completed. `run_id` names it."""

    def __init__(self, message: str, run_id: str | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id

    def __reduce__(self) -> tuple[type[RunNotCompleted], tuple[str, str | None]]:
        return type(self), (str(self), self.run_id)


class RunFailed(RunNotCompleted):
    """The script failed by itself; the same again will most likely fail again."""


class BuildFailed(RunFailed):
    """The environment can't be built as it is written."""


class OutOfMemory(RunFailed):
    """A rank used more memory than it was given."""


class TimeLimitReached(RunFailed):
    """The run took longer than `max_run_duration_seconds`."""


class NoProgress(RunFailed):
    """Nothing came from any rank for `no_progress_timeout`."""


class InfrastructureFailure(RunNotCompleted):
    """The machine or the supervisor failed, not the script."""

    retry_helps = True


class WorkerLeft(InfrastructureFailure):
    """The worker of the task that waited went away, and the run goes on without it."""


class RunCanceled(RunNotCompleted):
    """Somebody asked for the run to stop."""
