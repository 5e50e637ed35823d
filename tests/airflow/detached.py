"""A compute target of a third party: local processes that a triggerer may watch. A metadata folder installs it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from airflow_train.targets.local.target import LocalTarget

METADATA = "Metadata-Version: 2.1\nName: detached-target\nVersion: 1.0\n"
ENTRY_POINTS = "[airflow_train.targets]\ndetached = detached:DetachedTarget\n"


class DetachedTarget(LocalTarget):
    """Local processes, but the task may defer."""

    type: ClassVar[str] = "detached"
    can_defer: ClassVar[bool] = True


def install(folder: Path) -> None:
    """Make a folder for `sys.path` in which this target is an installed package."""
    info = folder / "detached_target-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(METADATA, encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    (folder / "detached.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
