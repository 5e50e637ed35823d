"""`RegisterModelOperator`: files of a completed run become a version of a model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_train.tasks.compat import unmapped

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class RegisterModelOperator(BaseOperator):
    """Registers files of a run as the next version of a model; tried again, it finds the version it made.

    Returns `model_id` (`name:version`), `name`, `version`, `url`, `run_id` and the run's `metrics`. Each success is an
    event of the asset `airflow-train://models/NAME` with `name`, `version`, `run_id` and `metrics`; where the name is a
    template, also of the alias `airflow-train://models`. `outlets` of the author's are kept.

    :param run_id: of a completed run, e.g. `train.output["run_id"]`. Templated.
    :param model_name: letters, digits, `_`, `.` and `-`. Templated.
    :param model_path: file or folder among the run's files, e.g. `outputs/model.json`; the model's name by default.
        Templated.
    :param tags: what may change later. Templated.
    :param properties: facts that never change. Templated.
    :param store: URI of the run store; `[train] store` by default. Templated.
    """

    template_fields: Sequence[str] = (
        "run_id",
        "model_name",
        "model_path",
        "tags",
        "properties",
        "model_framework",
        "model_framework_version",
        "description",
        "store",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"tags": "yaml", "properties": "yaml"}
    ui_color = "#e3f2df"

    def __init__(
        self,
        *,
        run_id: str,
        model_name: str,
        model_path: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        description: str | None = None,
        store: str | None = None,
        retries: int | None = 2,
        retry_delay: timedelta | float = timedelta(seconds=30),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        if not unmapped(self):
            kwargs["outlets"] = _outlets(model_name, kwargs.get("outlets"))
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.run_id = run_id
        self.model_name = model_name
        self.model_path = model_path
        self.tags = tags
        self.properties = properties
        self.model_framework = model_framework
        self.model_framework_version = model_framework_version
        self.description = description
        self.store = store

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """As of every operator; mapped tasks declare their model too."""
        return super().partial(
            **{**kwargs, "outlets": _outlets(kwargs.get("model_name"), kwargs.get("outlets"))}
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Register; returns what other tasks learn of the model."""
        from airflow_train.exceptions import ModelError
        from airflow_train.lifecycle.run import Run
        from airflow_train.tasks import assets, xcom
        from airflow_train.tasks.failures import translated

        with translated():
            run = Run(self.run_id, self.store)
            summary = run.summary()
            if summary.status != "Completed":
                raise ModelError(
                    f"model {self.model_name} can't be registered from run {run.id}, which is {summary.status} and not "
                    "Completed; wait for it with RunSensor, or name another run."
                )
            model = run.register_model(
                self.model_name,
                self.model_path,
                tags=self.tags,
                properties=self.properties,
                model_framework=self.model_framework,
                model_framework_version=self.model_framework_version,
                description=self.description,
            )
            log.info("Run %s is model %s: %s", run.id, model.id, model.url)
            metrics = xcom.of_metrics(summary.metrics or {})
            facts = {"name": model.name, "version": model.version, "run_id": run.id, "metrics": metrics}
            assets.tell(context, self.outlets, facts)
            return {"model_id": model.id, "url": model.url, **facts}


def _outlets(model_name: Any, declared: Any) -> list[Any]:
    from airflow_train.tasks import assets

    return assets.outlets(model_name, declared)
