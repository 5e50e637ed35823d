"""What everything that can be submitted shares: where its source lies, and becoming a `Job`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from airflow_train.definitions.definition import Definition
from airflow_train.definitions.job import Job
from airflow_train.definitions.kinds import Integer, Number, PathText, Text
from airflow_train.definitions.lists import TextMap
from airflow_train.definitions.parameters import param
from airflow_train.definitions.report import At
from airflow_train.definitions.secrets import Secrets, refuse_twice
from airflow_train.definitions.sizes import Size, size_in_bytes

#: As the original has it, in ASCII: experiments become parts of paths and labels.
EXPERIMENT_PATTERN = r"[a-zA-Z0-9][a-zA-Z0-9_\-]{0,254}"


RESUME_DOC = (
    "Files to go on from: a run id (its outputs), `RUN/outputs/…`, a path beside the DAG or YAML file, or `previous` "
    "for the outputs of the attempt before, if there is one. The script gets a copy as argument `--resume-from`, a "
    "command only as variable `AZUREML_DATAREFERENCE_MODEL_LOCATION`."
)


class Runnable(Definition):
    """Base of estimators and script run configurations."""

    #: What a registered model of such a run is made with.
    FRAMEWORK: ClassVar[str | None] = None
    #: Parameters of which one must be given, as it says what to run.
    STARTS: ClassVar[tuple[str, ...]] = ("entry_script",)

    source_directory: str | os.PathLike[str] = param(
        PathText(empty="."),
        kw_only=False,
        doc="Folder that travels to the compute target; an empty text means the current one. "
        "Relative to the DAG's or YAML file.",
    )

    experiment: str | None = param(
        Text(
            pattern=EXPERIMENT_PATTERN,
            allowed="up to 255 letters, digits, dashes and underscores, beginning with a letter or digit",
            mend="write dashes in place of other characters",
        ),
        default=None,
        doc="Experiment that the run belongs to; default the DAG's id, else the file's name.",
    )
    cpu: float | str | None = param(
        Number(above=True, mend="leave it out for no limit"),
        default=None,
        doc="Processors for each node, also parts of one.",
    )
    memory: str | int | None = param(
        Size(),
        default=None,
        doc="Memory for each node: `2GB` (2·10⁹ bytes), `512Mi` (2²⁹ bytes) or a number of bytes.",
    )
    tags: Mapping[str, Any] | None = param(
        TextMap("tags"), default=None, doc="Tags of the run, to find it by; values as written."
    )
    secrets: Mapping[str, str] | None = param(
        Secrets(),
        default=None,
        doc="Variables for the script that nobody else sees: `NAME: connection:ID/password`, `variable:NAME` or "
        "`env:NAME`, resolved when the run is launched.",
    )
    grace_seconds: float | str = param(
        Number(mend="0 kills at once"),
        default=30,
        doc="Seconds between asking the script to stop and killing it.",
    )

    no_progress_timeout: float | str | None = param(
        Number(above=True, mend="leave it out to wait for as long as it takes"),
        default=None,
        doc="Seconds without a line of output or a metric of any process, after which the stacks of all are logged and "
        "the run is stopped and has failed.",
    )

    def check(self, at: At) -> None:
        """No variable is a secret and an open one."""
        refuse_twice(at, self.secrets, self.open_variables())

    def open_variables(self) -> Any:
        """Environment variables of the script that are no secrets."""
        return None

    def main_script(self) -> Any:
        """The script that is run, as its author wrote it; None for a command."""
        return getattr(self, self.STARTS[0])

    def source_path(self, base: Path | None = None) -> Path:
        """The source directory as an absolute path.

        :param base: what it is relative to, unless the definition came from a file: then that file's folder.
        """
        return Path(os.path.abspath(self.beside(base) / Path(self.source_directory).expanduser()))

    def beside(self, base: Path | None = None) -> Path:
        """The folder that relative paths start from: the definition file's, else `base`, else the current one."""
        return Path(os.path.abspath(Path(self._folder or base or "").expanduser()))

    def normalized(self) -> Job:
        """The form that later rooms read, after checking everything once more.

        :raises DefinitionError: a rule is broken, or a template is left.
        """
        return self.strictly().to_job()

    def to_job(self) -> Job:
        """What `normalized` gives, of a definition that was checked strictly."""
        raise AssertionError("the classes below know")

    def _shared(self) -> dict[str, Any]:
        said: Any = self  # its classes add the rest, each at its own place in the signature
        memory = self.memory
        return {
            "type": type(self).__name__,
            "source_directory": str(self.source_directory),
            "experiment": self.experiment,
            "framework": self.FRAMEWORK,
            "framework_version": getattr(self, "framework_version", None),
            "compute_target": said.compute_target,
            "cpu": self.cpu,
            "memory": None if memory is None else str(memory),
            "memory_bytes": None if memory is None else size_in_bytes(memory),
            "tags": dict(self.tags or {}),
            "secrets": dict(self.secrets or {}),
            "grace_seconds": self.grace_seconds,
            "no_progress_timeout": self.no_progress_timeout,
            "max_run_duration_seconds": said.max_run_duration_seconds,
            "resume_from": said.resume_from,
        }


def gpu_param() -> Any:
    """The parameter `gpu`, for the classes that have it."""
    return param(
        Integer(minimum=0, mend="leave it out for none"),
        default=None,
        doc="GPUs for each node; more than 0 implies `use_gpu` where there is one.",
    )
