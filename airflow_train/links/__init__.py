"""Links on the page of a task: its run's folder and logs. Names resolve on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["RunFolderLink", "RunLogsLink"]

if TYPE_CHECKING:
    from airflow_train.links.run import RunFolderLink, RunLogsLink


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.run"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
