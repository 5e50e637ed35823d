"""Links from a task to its run. Their addresses are worked out when the run is submitted (`tasks/places`).

Imported by every DAG file with one of our operators: nothing but two names here.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperatorLink

from airflow_train.tasks import xcom


class _RunLink(BaseOperatorLink):
    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address, once the run exists; empty where there is nothing that a browser could open."""
        del ti_key
        return str(getattr(operator, xcom.LINKS, {}).get(self.xcom_key, ""))


class RunFolderLink(_RunLink):
    """Everything that a run left behind."""

    name = "Run folder"
    xcom_key = xcom.FOLDER_LINK


class RunLogsLink(_RunLink):
    """The whole output of all ranks."""

    name = "Run logs"
    xcom_key = xcom.LOGS_LINK
