"""`Run` as scripts written for Azure ML know it: that of `train_run`, and the rest of its members.

RUN/children/0001/child.json   child runs: {"at", "id", "name", "tags"}, and metrics.jsonl beside it, lines as those of
                               a rank, with {"k": "status", "v": …} for `complete`, `fail` and `cancel`
RUN/files/children/0001/…      what a child uploads
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Optional

    from airflow_train.runtime.script import train_run
    from airflow_train.runtime.script.azureml_run import absent, documents, recording
else:
    import train_run
    from azureml_run import absent, documents, recording


class Experiment(train_run.Experiment):
    """The experiment of a run: its name, and a workspace that says what isn't there."""

    @property
    def workspace(self) -> absent.Workspace:
        """Says what isn't there; secrets are."""
        return absent.workspace()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise absent.missing(f"experiment.{name}", "runs are submitted by operators and `airflow-train run`")


class Run(recording.Recording):
    """The run that this script belongs to, or a child of it; made by `Run.get_context()`."""

    def __init__(
        self,
        run_id: str,
        experiment: str,
        tags: Any,
        rank: int,
        place: Any,
        parent: Optional[Run] = None,
        name: str = "",
    ) -> None:
        super().__init__(run_id, experiment, tags, rank, place)
        self.experiment: Experiment = Experiment(experiment)
        self.parent, self.name = parent, name or run_id
        if parent is not None:
            self._properties = parent.properties
            self._top_id, self._top_folder, self._top_files = (
                parent._top_id,
                parent._top_folder,
                parent._top_files,
            )
        self._children: list[Run] = []
        self._ended = ""

    @classmethod
    def get_context(cls, allow_offline: bool = True, **_: Any) -> Run:
        """The run this process belongs to; the same object every time.

        :raises NoRun: there is none and `allow_offline` is False.
        """
        kind = _SubmittedRun if os.environ.get("AIRFLOW_TRAIN_RUN_ID") else _OfflineRun
        run = super(Run, kind).get_context(allow_offline)  # type: ignore[misc]
        assert isinstance(run, kind)
        return run

    @classmethod
    def get_submitted_run(cls, **_: Any) -> Run:
        """`get_context` under its name of 2018."""
        return cls.get_context()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise absent.missing(f"run.{name}", absent.Absent.mend)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is None:
            self.complete()
        else:
            self.fail(str(error))

    @property
    def display_name(self) -> str:
        """The name; one that is set is kept as the tag `display_name`."""
        return self._tags.get("display_name", self.name)

    @display_name.setter
    def display_name(self, name: str) -> None:
        self.tag("display_name", name)

    # What isn't there, and secrets

    @property
    def input_datasets(self) -> absent.Datasets:
        """Empty, and clear about it."""
        return absent.Datasets("input_datasets")

    @property
    def output_datasets(self) -> absent.Datasets:
        """Empty, and clear about it."""
        return absent.Datasets("output_datasets")

    def get_secret(self, name: str) -> str:
        """Value of the environment variable of that name in capitals, `-` as `_`.

        :raises NotHere: it isn't set.
        """
        return absent.secret(name)

    def get_secrets(self, secrets: Any) -> dict[str, str]:
        """Several secrets by name."""
        return {name: absent.secret(name) for name in secrets}

    # State

    def get_status(self) -> str:
        """`Completed`, `Failed` or `Canceled` for a child that was ended; `CancelRequested` or `Running` else."""
        return self._ended or (super().get_status() if self.parent is None else self.parent.get_status())

    def get_details(self) -> dict[str, Any]:
        """What is known here: `runId`, `status`, `properties`, `target`."""
        target = os.environ.get("AZUREML_TARGET_TYPE", "local")
        return {
            "runId": self.id,
            "target": target,
            "status": self.get_status(),
            "properties": self.properties,
        }

    def start(self) -> None:
        """Nothing to do, kept for scripts that call it."""

    def complete(self, _set_status: bool = True) -> None:
        """End a child run as Completed; the run itself ends when its processes do, by their exit codes."""
        self._end("Completed")

    def fail(self, error_details: Any = None, error_code: Any = None, _set_status: bool = True) -> None:
        """End a child run as Failed; the run itself fails by the exit code of the script."""
        self._end("Failed", error_details)

    def cancel(self) -> None:
        """End a child run as Canceled; ask the run itself to stop: TERM comes, and KILL after the grace."""
        if self.parent is not None:
            self._end("Canceled")
        elif not self._files or not self._place._cancel:
            print("Attempted to cancel the run")
        else:
            request = {
                "at": documents.stamp(),
                "by": f"rank {self.rank}",
                "reason": "run.cancel() in the script",
            }
            documents.create(self._place._cancel, request)

    # Children

    def child_run(self, name: Optional[str] = None, run_id: Any = None, outputs: Any = None) -> Run:
        """A run inside this one, with metrics, tags and files of its own."""
        return self._child(name, {})

    def create_children(
        self, count: Optional[int] = None, tag_key: Optional[str] = None, tag_values: Any = None
    ) -> list[Run]:
        """Several children: `count` of them, or one for each of `tag_values`, tagged with it.

        :raises WrongValue: neither or both are given.
        """
        if (count is None) == (tag_values is None) or (tag_key is None) != (tag_values is None):
            raise train_run.WrongValue(
                "run.create_children takes either count, or tag_key and tag_values; give one of them."
            )
        if tag_values is None:
            return [self._child(None, {}) for _ in range(int(count or 0))]
        return [self._child(None, {str(tag_key): str(value)}) for value in tag_values]

    def get_children(self, recursive: bool = False, tags: Any = None, **_: Any) -> Iterator[Run]:
        """Children that this process made; `tags` (a name or a dict) narrows them down."""
        wanted = {tags: None} if isinstance(tags, str) else dict(tags or {})
        for child in self._children:
            if all(key in child._tags and value in (None, child._tags[key]) for key, value in wanted.items()):
                yield child
            if recursive:
                for below in child.get_children(recursive=True, tags=tags):
                    yield below

    def _child(self, name: Optional[str], tags: dict[str, str]) -> Run:
        place: Any
        if not self._files:
            number, place, folder = len(self._children) + 1, train_run._Offline(), ""
        else:
            children = os.path.join(self._folder, "children")
            number = max(documents.numbers(children), default=0) + 1
            while not documents.create(
                os.path.join(children, "%04d" % number, "child.json"), self._document(number, name, tags)
            ):
                number += 1
            folder = os.path.join(children, "%04d" % number)
            files = os.path.join(self._files, "children", "%04d" % number)
            os.makedirs(files, exist_ok=True)
            place = train_run._Place(os.path.join(folder, "metrics.jsonl"), files, "")
        child = Run(f"{self.id}_{number}", self.experiment.name, tags, self.rank, place, self, name or "")
        child._folder = folder
        self._children.append(child)
        return child

    def _document(self, number: int, name: Optional[str], tags: dict[str, str]) -> dict[str, Any]:
        return {"at": documents.stamp(), "id": f"{self.id}_{number}", "name": name, "tags": tags}

    def _end(self, status: str, why: Any = None) -> None:
        self.flush()
        if self.parent is not None and not self._ended:
            self._record("status", status, {} if why is None else {"d": str(why)})
            self._ended = status


class _SubmittedRun(Run):
    """What `Run.get_context()` gives in a run; scripts ask for its class by this name."""


class _OfflineRun(Run):
    """What it gives elsewhere, likewise."""
