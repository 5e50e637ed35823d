"""`RunSensor`: wait for a run that another task, or somebody, has started."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_train.links.run import RunFolderLink, RunLogsLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_train.tasks.kill import KillSwitch


class RunSensor(BaseSensorOperator):
    """Waits for the end of a run; fails when the run failed or was cancelled.

    Returns `run_id`, `status`, `metrics`, `outputs_uri` and `logs_uri`, as `EstimatorOperator` does.

    It waits in its worker (`mode="poke"`), is started again for each look (`mode="reschedule"`) or, with `deferrable`,
    waits in the triggerer, whatever the run's compute target: any triggerer that can read the store will do.

    A run that its own task didn't wait for belongs to the sensor from the first look on: ending the sensor by hand, or
    its `timeout` or `execution_timeout`, ends the run. Between two looks in mode `reschedule`, and while no triggerer
    is up, nobody notices; the next sensor that looks or trigger that waits on the same store does (`tasks/reconcile`).

    :param run_id: e.g. `train.output["run_id"]`. Templated.
    :param store: URI of the run store; `[train] store` by default. Templated.
    :param poke_interval: seconds between two looks; a deferred sensor looks every second, `[train] poll_interval`.
    :param deferrable: `[operators] default_deferrable` by default.
    :param retries: 2 by default, so that a worker's death ends neither the sensor nor its run.
    """

    template_fields: Sequence[str] = ("run_id", "store")
    operator_extra_links = (RunFolderLink(), RunLogsLink())
    ui_color = "#f2ecdf"

    def __init__(
        self,
        *,
        run_id: str,
        store: str | None = None,
        poke_interval: timedelta | float = 10.0,
        deferrable: bool | None = None,
        retries: int | None = 2,
        retry_delay: timedelta | float = timedelta(seconds=30),
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, retries=retries, retry_delay=retry_delay, **kwargs)
        self.run_id = run_id
        self.store = store
        self.deferrable = deferrable
        self._switch: KillSwitch | None = None
        self._killed = self._may_defer = False

    def execute(self, context: Context) -> Any:
        """Wait for the end of the run."""
        return self._wait(context, self._defers())

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Look once more after the deferral, or go on waiting here if the triggerer couldn't."""
        from airflow_train.tasks import deferring

        self.store = event["store"]
        late, _ = deferring.end_of(event) if event["run_id"] == self.run_id else (None, None)
        return self._wait(context, deferred=False, late=late)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; a sensor that waits in the triggerer is deferred here, where Airflow hears what a look raises."""
        from airflow_train.tasks import watching

        waits = {} if self._switch is None else {"pause": self._switch.pause}
        found = watching.poke(self.run_id, self.store, context, **waits)
        if found is None and self._may_defer:
            self._defer(context)
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def on_kill(self) -> None:
        """Tell `execute` to end, also when it is still on its way; whether the run ends too is decided there."""
        self._killed = True
        if self._switch is not None:
            self._switch.press()

    def _wait(self, context: Context, deferred: bool, late: str | None = None) -> Any:
        from airflow_train.tasks import watching
        from airflow_train.tasks.kill import KillSwitch

        self._switch, self._may_defer = KillSwitch(), deferred
        if self._killed:
            self._switch.press()
        try:
            with watching.killable(self.run_id, self.store, context):
                if late:
                    watching.give_up(self.run_id, self.store, context, late)
                return super().execute(context)
        finally:
            self._switch, self._killed, self._may_defer = None, False, False

    def _defers(self) -> bool:
        from airflow_train.tasks import compat

        return compat.default_deferrable() if self.deferrable is None else self.deferrable

    def _defer(self, context: Context) -> None:
        from airflow_train.tasks import watching
        from airflow_train.triggers.run import RunTrigger

        asked = watching.handed_over(self.run_id, self.store, context, self.timeout)
        self.defer(trigger=RunTrigger(**asked), method_name="execute_complete")

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        """The pause, which the sensor makes itself between two pokes, so that a kill is heard at once."""
        seconds: float = super()._get_next_poke_interval(*args, **kwargs)
        if self.reschedule or self._switch is None:
            return seconds
        self._switch.pause(seconds)
        return 0.0
