"""Files of a run or of a child of it, as people ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from airflow_train.exceptions import DefinitionError, FileNotInRun
from airflow_train.store import artifacts, layout
from airflow_train.store.files import Files

#: Folders of a run's files that hold logs.
LOGS = ("user_logs", "logs", "system_logs")


class RunFiles:
    """Mixed into what has files: outputs, logs, uploads. Names are relative, e.g. `outputs/model.pkl`."""

    def _place(self) -> tuple[Files, str, str]:
        """Store, id of the run, and what all names begin with there (empty, or ending in `/`)."""
        raise NotImplementedError

    def get_file_names(self) -> list[str]:
        """Names of all files: outputs, logs, uploads; those of a run's children are below `children/`."""
        files, run_id, prefix = self._place()
        names = [name.removeprefix(prefix) for name, _ in artifacts.names(files, run_id, prefix)]
        return [name for name in names if not prefix or not name.startswith("children/")]

    def get_portal_url(self) -> str:
        """Where a person finds what the run left: the folder of its files in the run store, as there is no web page."""
        files, run_id, prefix = self._place()
        return files.join(f"{layout.files(run_id)}/{prefix}".rstrip("/"))

    def download_file(self, name: str, output_file_path: str | None = None) -> Path:
        """Copy one file; into the current folder by default, into a folder when one is named.

        :raises FileNotInRun: no such file; the message lists those that are there.
        """
        files, run_id, prefix = self._place()
        target = Path(output_file_path or ".")
        into = target.is_dir() or (output_file_path or "").endswith("/")
        return artifacts.download_file(
            files, run_id, f"{prefix}{name}", target / Path(name).name if into else target
        )

    def download_files(
        self,
        prefix: str | None = None,
        output_directory: str | None = None,
        output_paths: Sequence[str] | None = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: float | None = None,
    ) -> list[Path]:
        """Copy all files at or below `prefix`; returns their paths.

        :param output_directory: where they go; the current folder by default.
        :param output_paths: instead of that, a path for each file, in the order of `get_file_names()`.
        :param append_prefix: False takes the prefix off their paths.
        :param batch_size: has no effect here, as `timeout_seconds`: files are copied one by one, however long it takes.
        :raises FileNotInRun: nothing lies below that prefix.
        :raises AlreadyExists: another file stands at a target.
        """
        del batch_size, timeout_seconds
        files, run_id, above = self._place()
        wanted = (prefix or "").strip("/")
        names = [one for one in self.get_file_names() if _below(one, wanted)]
        if not names:
            artifacts.refuse_missing(files, run_id, f"{above}{wanted}")
        if output_paths is not None:
            targets = _paths(names, output_paths, output_directory)
        else:
            shown = names if append_prefix else [_without(one, wanted) for one in names]
            targets = [Path(output_directory or ".") / one for one in shown]
        for name, target in zip(names, targets, strict=True):
            artifacts.copy_out(files, run_id, f"{above}{name}", target)
        return targets

    def get_all_logs(self, destination: str | None = None) -> list[Path]:
        """Copy all logs of ranks, script and supervisor; into a folder named after the run by default."""
        files, run_id, above = self._place()
        to = Path(destination or run_id)
        names = [one for one in self.get_file_names() if any(_below(one, folder) for folder in LOGS)]
        for name in names:
            artifacts.copy_out(files, run_id, f"{above}{name}", to / name)
        return [to / name for name in names]

    def upload_file(self, name: str, path: str) -> None:
        """Add a file.

        :raises AlreadyExists: there is a file of that name.
        :raises FileNotInRun: there is nothing at `path`.
        """
        files, run_id, prefix = self._place()
        if not Path(path).is_file():
            raise FileNotInRun(f"{path} is no file, so it can't be uploaded as {name}; correct the path.")
        artifacts.upload(files, run_id, f"{prefix}{name}", Path(path))


def _below(name: str, folder: str) -> bool:
    return not folder or name == folder or name.startswith(f"{folder}/")


def _without(name: str, prefix: str) -> str:
    return Path(name).name if name == prefix else name.removeprefix(f"{prefix}/") if prefix else name


def _paths(names: Sequence[str], paths: Sequence[str], directory: str | None) -> list[Path]:
    if directory is not None:
        raise DefinitionError(
            "download_files takes output_directory or output_paths, but both are given; give one of them."
        )
    if len(names) != len(paths):
        raise DefinitionError(
            f"output_paths has {len(paths)} paths for {len(names)} files ({', '.join(names[:5])}…); give one for each."
        )
    return [Path(path) for path in paths]
