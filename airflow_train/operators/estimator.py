"""`EstimatorOperator`: train what an estimator says, as one task.

Imported by every DAG file that uses it, all day: what it needs to run is imported when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import BaseOperator

from airflow_train.links.run import RunFolderLink, RunLogsLink
from airflow_train.tasks.compat import unmapped

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_train.tasks.kill import KillSwitch


class EstimatorOperator(BaseOperator):
    """Runs an estimator on a compute target, shows its output in the task log and waits for its end.

    Pushes `run_id`, `outputs_uri` and `logs_uri` as soon as the run exists, and returns them with `status` and
    `metrics` (the last value of each; NaN and infinities as text), so that
    `train.output["run_id"]` names the run downstream.

    A retry takes over a run that is still alive, takes the result of one that has completed meanwhile, and starts anew
    after one that failed: the script finds a copy of what that one left in `./outputs` (AIRFLOW_TRAIN_PREVIOUS_OUTPUTS,
    `Run.previous_outputs`; with `resume_from: previous` as `--resume-from`). A cleared task trains anew. Errors
    that only the author can mend aren't retried.

    :param estimator: a definition (`Estimator`, `PyTorch`, …), the path of a YAML file or plain data. Templated, values
        inside included. Relative paths start at the DAG file's folder; those in a YAML file at that file's.
    :param compute_target: wins over the definition's; `[train] compute_target` where neither says. Templated.
    :param experiment: wins over the definition's; the DAG's id where neither says. Templated.
    :param tags: added to the definition's. Templated.
    :param wait_for_completion: False starts the run and succeeds at once; watch it with `RunSensor`.
    :param poll_interval: longest pause between two looks in seconds; `[train] poll_interval` by default.
    :param on_kill: `cancel` stops the run when a user ends the task or its `execution_timeout` passes; `leave` doesn't.
    :param retry_on: which failures of a run are tried again: names (`infrastructure`, `out_of_memory`, `time_limit`,
        `script_error` …) or classes of `airflow_train.exceptions`; all by default. `retries` stays the limit. Airflow
        3.3's `retry_policy=RunRetryPolicy(…)` of `airflow_train.tasks.retry_policy` does the same with delays.
    :param deferrable: wait in the triggerer and free the worker's slot; `[operators] default_deferrable` by default.
        On targets that can't, `local` among them, True is refused and the configured default is ignored. The run's
        output then comes to the task log at the end; without `wait_for_completion` there is nothing to wait for.
    :param store: URI of the run store; `[train] store` by default. Templated.
    :param retries: 2 by default, because only a next try can take a run over when a worker dies.
    :raises DefinitionError: a value that is no template breaks a rule.
    """

    template_fields: Sequence[str] = ("estimator", "compute_target", "experiment", "tags", "store")
    template_fields_renderers: ClassVar[dict[str, str]] = {"estimator": "yaml", "tags": "yaml"}
    operator_extra_links = (RunFolderLink(), RunLogsLink())
    ui_color = "#dfe9f5"

    _must_be_distributed: ClassVar[bool] = False

    def __init__(
        self,
        *,
        estimator: Any,
        compute_target: str | Mapping[str, Any] | None = None,
        experiment: str | None = None,
        tags: Mapping[str, str] | None = None,
        wait_for_completion: bool = True,
        poll_interval: float | None = None,
        on_kill: Literal["cancel", "leave"] = "cancel",
        retry_on: Any = None,
        deferrable: bool | None = None,
        store: str | None = None,
        retries: int | None = 2,
        retry_delay: timedelta | float = timedelta(seconds=30),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.estimator = estimator if unmapped(self) else self._plain(estimator)
        self.compute_target = compute_target
        self.experiment = experiment
        self.tags = dict(tags) if isinstance(tags, Mapping) else tags
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval
        self.on_kill_action = on_kill
        self.retry_on = retry_on
        self.deferrable = deferrable
        self.store = store
        self._push_each = bool(self.multiple_outputs)
        self._switch: KillSwitch | None = None
        self._killed = False
        self._check_arguments()

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """As of every operator; definitions among the arguments become plain data, as in tasks that aren't mapped."""
        from airflow_train.tasks import mapping

        return mapping.of(super().partial(**mapping.arguments(kwargs)))

    def execute(self, context: Context) -> dict[str, Any]:
        """Run it; returns `run_id`, `status`, `metrics`, `outputs_uri` and `logs_uri`."""
        from airflow_train.tasks import training

        switch = self._arm()
        wish = training.Wish(
            estimator=self.estimator,
            compute_target=self.compute_target,
            experiment=self.experiment,
            tags=self.tags or {},
            overrides=self._overrides(),
            must_be_distributed=self._must_be_distributed,
            wait=self.wait_for_completion,
            poll_interval=self.poll_interval,
            leave_on_kill=self.on_kill_action == "leave",
            retry_on=self.retry_on,
            deferrable=self.deferrable,
            store=self.store,
        )
        try:
            with ExitStack() as ends:
                return self._told(training.train(wish, context, switch, self._defer, ends), context)
        finally:
            self._switch, self._killed = None, False

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on after the deferral; returns what `execute` does."""
        from airflow_train.tasks import training

        switch = self._arm()
        leave = self.on_kill_action == "leave"
        try:
            result = training.resume(
                event,
                context,
                switch,
                leave=leave,
                poll_interval=self.poll_interval,
                retry_on=self.retry_on,
            )
            return self._told(result, context)
        finally:
            self._switch, self._killed = None, False

    def on_kill(self) -> None:
        """Tell `execute` to end, also when it is still on its way; whether the run ends too is decided there."""
        self._killed = True
        if self._switch is not None:
            self._switch.press()

    def _do_render_template_fields(self, *args: Any, **kwargs: Any) -> None:
        from airflow_train.tasks import plain

        super()._do_render_template_fields(*args, **kwargs)
        self.estimator = plain.readable(self.estimator, plain.folder_of(self.get_dag()))

    def _arm(self) -> KillSwitch:
        from airflow_train.tasks.kill import KillSwitch

        self._switch = KillSwitch()
        if self._killed:
            self._switch.press()
        return self._switch

    def _defer(self, asked: dict[str, Any]) -> None:
        from airflow_train.triggers.run import RunTrigger

        self.defer(trigger=RunTrigger(**asked), method_name="execute_complete")

    def _told(self, result: dict[str, Any], context: Context) -> dict[str, Any]:
        from airflow_train.tasks import xcom

        if self._push_each:
            # Airflow would push all five, at 10 ms each; three are there since the run exists
            self.multiple_outputs = False
            xcom.push(context, {name: result[name] for name in ("status", "metrics")})
        return result

    def _overrides(self) -> dict[str, Any]:
        return {}

    def _plain(self, estimator: Any) -> Any:
        from airflow_train.tasks import plain

        return plain.at_parse(estimator, plain.folder_at_parse(self.get_dag()))

    def _check_arguments(self) -> None:
        from airflow_train.exceptions import DefinitionError

        if self.retry_on is not None:
            from airflow_train.tasks import retrying

            self.retry_on = list(retrying.read(f"task {self.task_id}", self.retry_on))
        wrong = _problem(self.wait_for_completion, self.poll_interval)
        if wrong:
            raise DefinitionError(f"task {self.task_id}: {wrong}")
        if self.on_kill_action not in ("cancel", "leave"):
            raise DefinitionError(
                f"task {self.task_id}: on_kill is {self.on_kill_action!r} but must be 'cancel' or 'leave'; leave it "
                "out to cancel the run."
            )
        if self.deferrable and self.compute_target == "local":
            raise DefinitionError(
                f"task {self.task_id}: deferrable=True can't be honoured on compute_target 'local', because only the "
                "machine that started a local run can watch it; leave deferrable out."
            )


def _problem(wait: Any, poll_interval: Any) -> str:
    """What is wrong with arguments that are no templates, and the mend; empty when nothing is."""
    if not isinstance(wait, bool):
        return f"wait_for_completion is {wait!r} but must be True or False; write one of them."
    seconds = isinstance(poll_interval, (int, float)) and not isinstance(poll_interval, bool)
    if poll_interval is not None and not (seconds and poll_interval > 0):
        return (
            f"poll_interval is {poll_interval!r} but must be seconds above 0; leave it out for the default."
        )
    return ""
