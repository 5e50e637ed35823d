"""Statuses of a run: Azure ML's words (`get_status`), and which may follow which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Status = Literal[
    "NotStarted",
    "Starting",
    "Provisioning",
    "Preparing",
    "Queued",
    "Running",
    "NotResponding",
    "Finalizing",
    "CancelRequested",
    "Completed",
    "Failed",
    "Canceled",
]

#: In the order of a run's life. Statuses only move forward, but for Running and NotResponding.
ORDER: tuple[Status, ...] = (
    "NotStarted",
    "Starting",
    "Provisioning",
    "Queued",
    "Preparing",
    "Running",
    "NotResponding",
    "Finalizing",
    "CancelRequested",
    "Completed",
    "Failed",
    "Canceled",
)
TERMINAL: frozenset[Status] = frozenset({"Completed", "Failed", "Canceled"})
_RANK = {status: number for number, status in enumerate(ORDER)}


def latest(statuses: Iterable[Status]) -> Status:
    """Where a run stands after these events, in whatever order they were written down."""
    return max(statuses, key=_RANK.__getitem__, default="NotStarted")


def position(status: Status) -> int:
    """Where a status stands in the order of a run's life."""
    return _RANK[status]


def is_terminal(status: Status) -> bool:
    """Has the run ended?"""
    return status in TERMINAL
