"""Sections of a `RunConfiguration` that Azure ML needs and a run here doesn't: accepted, and warned of if chosen."""

from __future__ import annotations

from typing import Any

from airflow_train.definitions.definition import Definition
from airflow_train.definitions.parameters import param
from airflow_train.definitions.unused import Anything

_MACHINES = "the compute target decides on machines"
_KEPT = "logs, outputs and code of every run are kept"
_PYTHON = "scripts are run by Python or a command"


class HistoryConfiguration(Definition):
    """What Azure ML keeps of a run. Here everything is kept."""

    output_collection: Any = param(Anything(usual=[True]), default=None, doc="", meaningless=_KEPT)
    snapshot_project: Any = param(Anything(usual=[True]), default=None, doc="", meaningless=_KEPT)
    directories_to_watch: Any = param(Anything(usual=[["logs"], []]), default=None, doc="", meaningless=_KEPT)


class AmlComputeConfiguration(Definition):
    """Machines that Azure ML makes for one run."""

    vm_size: Any = param(Anything(), default=None, doc="", meaningless=_MACHINES)
    vm_priority: Any = param(Anything(), default=None, doc="", meaningless=_MACHINES)
    retain_cluster: Any = param(Anything(usual=[False]), default=None, doc="", meaningless=_MACHINES)
    name: Any = param(Anything(), default=None, doc="", meaningless=_MACHINES)
    cluster_max_node_count: Any = param(Anything(usual=[1]), default=None, doc="", meaningless=_MACHINES)


class KubernetesComputeConfiguration(Definition):
    """Machines of a cluster."""

    instance_type: Any = param(Anything(), default=None, doc="", meaningless=_MACHINES)


class HdiConfiguration(Definition):
    """How Spark runs on HDInsight."""

    yarn_deploy_mode: Any = param(
        Anything(usual=["cluster", "None"]), default=None, doc="", meaningless=_PYTHON
    )


class SparkConfiguration(Definition):
    """Settings of Spark."""

    configuration: Any = param(
        Anything(usual=[{"spark.app.name": "Azure ML Experiment", "spark.yarn.maxAppAttempts": 1}, {}]),
        default=None,
        doc="",
        meaningless=_PYTHON,
    )
