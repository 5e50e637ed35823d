"""`RunRetryPolicy`: which failed runs are tried again, and after how long, as a policy of Airflow 3.3 and later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_train.exceptions import ConfigurationError, DefinitionError
from airflow_train.tasks import retrying

try:
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
except ImportError as error:
    raise ConfigurationError(
        "RunRetryPolicy needs Airflow 3.3 or later, which has retry_policy; give the operator retry_on instead."
    ) from error

if TYPE_CHECKING:
    from airflow.sdk import Context


class RunRetryPolicy(RetryPolicy):
    """Tries again what bad luck has ended, and nothing else; each kind of bad luck may have a delay of its own.

        EstimatorOperator(…, retry_policy=RunRetryPolicy(delays={"infrastructure": timedelta(minutes=5)}))

    Decides on failed runs only; on anything else Airflow decides as without it. `retries` stays the limit.

    :param retry_on: as the operator's `retry_on`: names (`infrastructure`, `out_of_memory`, `time_limit`,
        `script_error` …) or classes of `airflow_train.exceptions`.
    :param delays: name → pause before the next try instead of the task's `retry_delay`.
    :raises DefinitionError: an unknown name, or a delay that is none.
    """

    def __init__(
        self, retry_on: Any = ("infrastructure",), delays: Mapping[str, timedelta | float] | None = None
    ) -> None:
        self.retry_on = retrying.read("RunRetryPolicy", retry_on)
        self.delays = {name: _delay(name, self.retry_on, pause) for name, pause in (delays or {}).items()}

    def __repr__(self) -> str:
        return f"RunRetryPolicy(retry_on={self.retry_on!r}, delays={self.delays!r})"

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide after a failure."""
        del try_number, max_tries, context
        name = retrying.name_of(exception)
        if name is None:
            return RetryDecision.default()
        if name in self.retry_on:
            return RetryDecision.retry(self.delays.get(name), f"{name} is tried again")
        return RetryDecision.fail(f"{name} is not among retry_on ({', '.join(self.retry_on)})")

    def serialize(self) -> dict[str, Any]:
        """Plain data for the serialized DAG."""
        delays = {name: pause.total_seconds() for name, pause in self.delays.items()}
        return {"__type": "RunRetryPolicy", "retry_on": list(self.retry_on), "delays": delays}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> RunRetryPolicy:
        """The inverse of `serialize`."""
        return cls(data["retry_on"], data["delays"])


def _delay(name: str, retried: tuple[str, ...], pause: Any) -> timedelta:
    if name not in retried:
        raise DefinitionError(
            f"RunRetryPolicy: delays has {name!r}, which isn't tried again ({', '.join(retried)}); add it to retry_on "
            "or leave it out."
        )
    if isinstance(pause, (int, float)) and not isinstance(pause, bool) and pause >= 0:
        return timedelta(seconds=pause)
    if isinstance(pause, timedelta) and pause >= timedelta(0):
        return pause
    raise DefinitionError(
        f"RunRetryPolicy: the delay of {name} is {pause!r} but must be seconds or a timedelta; correct it."
    )
