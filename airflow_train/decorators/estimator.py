"""`@task.estimator`: a function says what to train, when it is known; an `EstimatorOperator` trains it.

@task.estimator(estimator="digits.yaml")
def train(c: float):
    return {"script_params": {"--c": c}}

train(best_c())            # or train.expand(c=[0.1, 1, 10]), or train.override(task_id="again")(1)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.bases.decorator import DecoratedOperator, _TaskDecorator
from airflow.sdk.bases.operator import get_merged_defaults
from airflow.sdk.definitions._internal.contextmanager import DagContext, TaskGroupContext

from airflow_train.operators.estimator import EstimatorOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

#: What `EstimatorOperator` has in its signature; mapped tasks of decorators don't read that.
_RETRIES: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=30)}


class _EstimatorDecoratedOperator(DecoratedOperator, EstimatorOperator):
    """Calls the function, then trains what it returned."""

    template_fields: Sequence[str] = (*EstimatorOperator.template_fields, *DecoratedOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **EstimatorOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.estimator"
    #: What the function returned is shown in place of what it changed.
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        estimator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            estimator=estimator,
            **kwargs,
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask the function, then train; returns what `EstimatorOperator` does."""
        from pathlib import Path

        from airflow_train.tasks import compat, plain
        from airflow_train.tasks.failures import translated

        asked = compat.asked_for(self.python_callable, self.op_args, {**context, **self.op_kwargs})
        said = self.python_callable(*self.op_args, **asked)
        with translated():
            base = plain.folder_of(context["dag"]) or Path.cwd()
            where = f"The function {self.python_callable.__name__} of @task.estimator"
            said = plain.said_by(where, said, self.estimator, base)
            self.estimator = plain.readable(said, base)
        return EstimatorOperator.execute(self, context)

    def _plain(self, estimator: Any) -> Any:
        return None if estimator is None else super()._plain(estimator)


class _EstimatorDecorator(_TaskDecorator):  # type: ignore[type-arg]
    """Airflow's decorator object; mapped tasks get our retries too, unless the DAG says otherwise."""

    def _expand(self, expand_input: Any, *, strict: bool) -> Any:
        from airflow_train.tasks import mapping

        self.kwargs = mapping.arguments(self.kwargs)
        dag = self.kwargs.get("dag") or DagContext.get_current()
        group = self.kwargs.get("task_group") or TaskGroupContext.get_current(dag)
        defaults, _ = get_merged_defaults(dag, group, None, self.kwargs.get("default_args"))
        for name, value in _RETRIES.items():
            if name not in defaults:
                self.kwargs.setdefault(name, value)
        return super()._expand(expand_input, strict=strict)


def estimator_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
    """Wrap a function that returns what to train: a definition, its plain data, a YAML file or overrides.

    The function runs in the worker; its body isn't part of the run. Its parameters may be XComs and may be mapped. What
    it returns is no template. Overrides are merged into `estimator` as `airflow-train run --set` does: values of nested
    mappings one by one, all else as a whole.

    :param python_callable: the function, where the decorator has no arguments.
    :param estimator: the definition that overrides are merged into. Templated.
    :param kwargs: arguments of `EstimatorOperator`.
    :raises DefinitionError: the decorator was given something else than a function and named arguments.
    """
    from airflow_train.exceptions import DefinitionError

    if python_callable is not None and not callable(python_callable):
        raise DefinitionError(
            f"@task.estimator({python_callable!r}) names no argument; write @task.estimator(estimator=…)."
        )

    def decorate(function: Callable[..., Any]) -> Any:
        return _EstimatorDecorator(
            function=function,
            operator_class=_EstimatorDecoratedOperator,
            multiple_outputs=True,
            kwargs=dict(kwargs),
        )

    return decorate if python_callable is None else decorate(python_callable)
