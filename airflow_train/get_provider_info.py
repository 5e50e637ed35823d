"""What Airflow's provider registry asks this package for.

Every process of Airflow imports this module when it starts, so it imports nothing at module level.
"""

from __future__ import annotations


def get_provider_info() -> dict[str, object]:
    """The provider's metadata, as Airflow's `provider_info.schema.json` describes it."""
    from airflow_train.config import OPTIONS

    options = {
        name: {
            "description": description + "\n",
            "version_added": "0.1.0",
            "type": kind,
            "example": None,
            "default": default,
        }
        for name, (default, kind, description) in OPTIONS.items()
    }
    return {
        "package-name": "airflow-train",
        "name": "Train",
        "description": "A training script becomes an Airflow task: estimators, runs, metrics and models.\n",
        "cli": ["airflow_train.cli.mounted.commands"],
        "extra-links": ["airflow_train.links.run.RunFolderLink", "airflow_train.links.run.RunLogsLink"],
        "task-decorators": [
            {"name": "estimator", "class-name": "airflow_train.decorators.estimator.estimator_task"}
        ],
        "config": {"train": {"description": "Runs, their store and where they run.\n", "options": options}},
    }
