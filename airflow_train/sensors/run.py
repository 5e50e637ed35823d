"""`RunSensor`: wait for a run that another task, or somebody, has started."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_train.tasks.kill import KillSwitch


class RunSensor(BaseSensorOperator):
    """Waits for the end of a run, in mode `poke` or `reschedule`; fails when the run failed or was cancelled.

    Returns `run_id`, `status`, `metrics`, `outputs_uri` and `logs_uri`, as `EstimatorOperator` does.

    A run that its own task didn't wait for belongs to the sensor from the first look on: ending the sensor by hand
    while it pokes ends the run. Between two pokes in mode `reschedule` there is no process that could notice.

    :param run_id: e.g. `train.output["run_id"]`. Templated.
    :param store: URI of the run store; `[train] store` by default. Templated.
    :param poke_interval: seconds between two looks.
    :param retries: 2 by default, so that a worker's death ends neither the sensor nor its run.
    """

    template_fields: Sequence[str] = ("run_id", "store")
    ui_color = "#f2ecdf"

    def __init__(
        self,
        *,
        run_id: str,
        store: str | None = None,
        poke_interval: timedelta | float = 10.0,
        retries: int | None = 2,
        retry_delay: timedelta | float = timedelta(seconds=30),
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, retries=retries, retry_delay=retry_delay, **kwargs)
        self.run_id = run_id
        self.store = store
        self._switch: KillSwitch | None = None

    def execute(self, context: Context) -> Any:
        """Wait for the end of the run."""
        from airflow_train.tasks import watching
        from airflow_train.tasks.kill import KillSwitch

        self._switch = KillSwitch()
        try:
            with watching.killable(self.run_id, self.store, context):
                return super().execute(context)
        finally:
            self._switch = None

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        from airflow_train.tasks import watching

        waits = {} if self._switch is None else {"pause": self._switch.pause}
        found = watching.poke(self.run_id, self.store, context, **waits)
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def on_kill(self) -> None:
        """Tell `execute` to end; whether the run ends too is decided there."""
        if self._switch is not None:
            self._switch.press()

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        """The pause, which the sensor makes itself between two pokes, so that a kill is heard at once."""
        seconds: float = super()._get_next_poke_interval(*args, **kwargs)
        if self.reschedule or self._switch is None:
            return seconds
        self._switch.pause(seconds)
        return 0.0
