"""`DistributedEstimatorOperator`: the same, for several processes that train one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from airflow_train.operators.estimator import EstimatorOperator


class DistributedEstimatorOperator(EstimatorOperator):
    """An `EstimatorOperator` whose run has several ranks.

    Refuses a definition without `distributed_training`, and one that isn't given it here.

    :param node_count: nodes; wins over the definition's. Templated.
    :param process_count_per_node: ranks on each node; wins over the definition's. Templated.
    :param distributed_training: how the ranks find each other: `MpiConfiguration`, `PyTorchConfiguration`,
        `TensorflowConfiguration` or their plain data; wins over the definition's. Templated.
    """

    template_fields: Sequence[str] = (
        *EstimatorOperator.template_fields,
        "node_count",
        "process_count_per_node",
        "distributed_training",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **EstimatorOperator.template_fields_renderers,
        "distributed_training": "yaml",
    }

    _must_be_distributed = True

    def __init__(
        self,
        *,
        node_count: int | str | None = None,
        process_count_per_node: int | str | None = None,
        distributed_training: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.node_count = node_count
        self.process_count_per_node = process_count_per_node
        plain = getattr(distributed_training, "to_dict", None)
        self.distributed_training = plain() if plain is not None else distributed_training

    def _overrides(self) -> dict[str, Any]:
        return {
            "node_count": self.node_count,
            "process_count_per_node": self.process_count_per_node,
            "distributed_training": self.distributed_training,
        }
