"""What scripts written for Azure ML keep beside metrics of numbers: images, properties, models."""

from __future__ import annotations

import json
import os
from time import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Optional

    from airflow_train.runtime.script import train_run
    from airflow_train.runtime.script.azureml_run import downloading, registering
else:
    import train_run
    from azureml_run import downloading, registering


class Recording(train_run.Run):
    """A run with these members; `azureml_run.run.Run` adds the others."""

    def __init__(self, run_id: str, experiment: str, tags: Any, rank: int, place: Any) -> None:
        super().__init__(run_id, experiment, tags, rank, place)
        self._work = os.getcwd()
        #: Empty where there is no run.
        self._files: str = "" if isinstance(place, train_run._Offline) else place._files
        self._folder = os.path.dirname(self._files)
        self._top_id, self._top_folder, self._top_files = run_id, self._folder, self._files
        self._properties: dict[str, str] = json.loads(os.environ.get("AIRFLOW_TRAIN_PROPERTIES") or "{}")

    # Metrics

    def log_image(self, name: str, path: Any = None, plot: Any = None, description: str = "") -> None:
        """Keep an image, a file or a matplotlib figure (or pyplot), as `<name>_<timestamp>.png`, and log its name.

        :raises WrongValue: not exactly one of `path` and `plot`, no such file, or `plot` can't be saved.
        """
        if (path is None) == (plot is None):
            raise train_run.WrongValue(
                f"run.log_image({name!r}) takes either path or plot; give one of them."
            )
        if plot is not None and not hasattr(plot, "savefig"):
            raise train_run.WrongValue(
                f"run.log_image({name!r}) got a {type(plot).__name__} as plot but takes a matplotlib figure or pyplot."
            )
        if plot is not None:
            from io import BytesIO

            source: Any = BytesIO()
            plot.savefig(source, format="png")
            source.seek(0)
            extension = ".png"
        else:
            source, extension = path, os.path.splitext(os.fspath(path))[1]
        self._keep(name, source, extension, description)

    def _keep(self, name: str, source: Any, extension: str, description: str) -> None:
        """Upload under a name that is free, and log that."""
        train_run._metric_name(name)
        stem = "".join("_" if sign in "/\\\0" else sign for sign in name)
        number = int(time() * 1000)
        while True:
            try:
                artifact = self.upload_file(f"{stem}_{number}{extension}", source)
                break
            except train_run.NameTaken:
                number += 1
        self._put("image", name, artifact, description)

    def log_confusion_matrix(self, name: str, value: Any, description: str = "") -> None:
        """Keep a document of Azure ML's schema, as text or a dict, as `<name>_<timestamp>.json`, and log its name.

        :raises WrongValue: it is neither.
        """
        self._log_document("log_confusion_matrix", name, value, description)

    def log_accuracy_table(self, name: str, value: Any, description: str = "") -> None:
        """As `log_confusion_matrix`."""
        self._log_document("log_accuracy_table", name, value, description)

    def log_residuals(self, name: str, value: Any, description: str = "") -> None:
        """As `log_confusion_matrix`."""
        self._log_document("log_residuals", name, value, description)

    def log_predictions(self, name: str, value: Any, description: str = "") -> None:
        """As `log_confusion_matrix`."""
        self._log_document("log_predictions", name, value, description)

    def _log_document(self, method: str, name: str, value: Any, description: str) -> None:
        from io import BytesIO

        try:
            text = json.dumps(json.loads(value) if isinstance(value, str) else value, default=_plain)
        except ValueError:
            text = ""
        except TypeError as error:
            raise train_run.WrongValue(
                "run.%s(%r): %s; use lists, numbers and texts." % (method, name, error)
            ) from None
        if not text.startswith("{"):
            raise train_run.WrongValue(
                f"run.{method}({name!r}) got {train_run._short(value)} but takes a dict, or JSON text of one."
            )
        self._keep(name, BytesIO(text.encode("ascii")), ".json", description)

    def get_metrics(
        self,
        name: Optional[str] = None,
        recursive: bool = False,
        run_type: Any = None,
        populate: bool = False,
    ) -> dict[str, Any]:
        """As `train_run.Run.get_metrics`; `recursive` gives `{run id: metrics}` of this run and its children."""
        own = super().get_metrics(name)
        if not recursive:
            return own
        found = {self.id: own}
        for child in self.get_children():
            found.update(child.get_metrics(name, recursive=True))
        return found

    def get_children(self) -> Iterator[Recording]:
        """None here; `Run` knows them."""
        return iter(())

    # Tags and properties

    def get_tags(self) -> dict[str, str]:
        """As `tags`."""
        return self.tags

    @property
    def properties(self) -> dict[str, str]:
        """Facts that never change: snapshot, git, host, and what was added."""
        return dict(self._properties)

    def get_properties(self) -> dict[str, str]:
        """As `properties`."""
        return self.properties

    def add_properties(self, properties: Any) -> None:
        """Add facts; a name that has another value already is refused with WrongValue."""
        added = {str(key): str(value) for key, value in dict(properties).items()}
        for key, value in added.items():
            if self._properties.get(key, value) != value:
                raise train_run.WrongValue(
                    f"run.add_properties: {key!r} is {self._properties[key]!r} and never changes; use a tag, or "
                    "another name."
                )
        self._record("properties", added)
        self._properties.update(added)

    # Files and models

    def upload_file(
        self,
        name: str,
        path_or_stream: Any,
        datastore_name: Any = None,
    ) -> str:
        """As `train_run.Run.upload_file`; there are no datastores, so that name has no effect."""
        return super().upload_file(name, path_or_stream)

    def upload_files(
        self,
        names: Any,
        paths: Any,
        return_artifacts: bool = False,
        timeout_seconds: Any = None,
        datastore_name: Any = None,
    ) -> list[str]:
        """As `train_run.Run.upload_files`; what follows `paths` has no effect."""
        return super().upload_files(names, paths)

    def upload_folder(self, name: str, path: Any, datastore_name: Any = None) -> list[str]:
        """As `train_run.Run.upload_folder`; there are no datastores, so that name has no effect."""
        return super().upload_folder(name, path)

    def get_file_names(self) -> list[str]:
        """Names of the run's files as far as they are uploaded."""
        return registering.below(self._files, "") if self._files else []

    def download_file(self, name: str, output_file_path: Optional[str] = None, **_: Any) -> None:
        """Copy an uploaded file; into the working directory by default, into a folder where one is named.

        :raises WrongValue: the run has no such file.
        """
        if not self._files:
            print(f"Attempted to download file {name}")
            return
        downloading.one(self._files, name, output_file_path)

    def download_files(
        self,
        prefix: Optional[str] = None,
        output_directory: Optional[str] = None,
        output_paths: Any = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: Any = None,
    ) -> list[str]:
        """Copy all uploaded files whose names begin so; returns where to.

        :raises WrongValue: the run has none, or `output_paths` hasn't a path for each.
        """
        if not self._files:
            print(f"Attempted to download files {prefix or ''}")
            return []
        return downloading.many(self._files, prefix, output_directory, output_paths, append_prefix)

    def register_model(
        self,
        model_name: str,
        model_path: Optional[str] = None,
        tags: Any = None,
        properties: Any = None,
        model_framework: Any = None,
        model_framework_version: Any = None,
        description: Optional[str] = None,
        **_: Any,
    ) -> registering.Model:
        """Register uploaded files, or what lies in ./outputs; the version is taken now, the files follow at the end.

        :raises WrongValue: the name is no model name, or nothing lies at `model_path`.
        """
        wanted = registering.facts(
            self._top_id,
            model_name,
            model_path,
            tags=tags,
            properties=properties,
            model_framework=model_framework,
            model_framework_version=model_framework_version,
            description=description,
        )
        if not self._files:
            print(f"Attempted to register model {model_name} from {wanted['model_path']}")
            return registering.Model(model_name, 0, wanted)
        registering.check_path(self._files, self._work, model_name, wanted["model_path"])
        if self._files != self._top_files and os.path.exists(os.path.join(self._files, wanted["model_path"])):
            below = os.path.relpath(self._files, self._top_files)
            wanted["model_path"] = f"{below}/{wanted['model_path']}"
        models = os.environ.get("AIRFLOW_TRAIN_MODELS", "")
        return registering.order(self._top_folder, models, wanted)

    def _record(self, kind: str, value: Any, more: Any = ()) -> None:
        self._place.note({"k": kind, "v": value, "t": round(time(), 3), **dict(more)})


def _plain(value: Any) -> Any:
    """What json doesn't know: arrays and numbers of numpy."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{train_run._short(value)} is no JSON")
