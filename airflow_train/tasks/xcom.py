"""What other tasks learn of a run: small, JSON, nothing secret."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

#: Airflow refuses NaN and infinities in XComs; `float()` reads these words back.
_WORDS = {math.inf: "Infinity", -math.inf: "-Infinity"}

#: Keys under which Airflow looks for the addresses of a task's links.
FOLDER_LINK, LOGS_LINK = "_link_RunFolderLink", "_link_RunLogsLink"
#: Where an operator keeps them until Airflow asks for them at the end of the task.
LINKS = "_run_links"

MOST_METRICS = 50
MOST_BYTES = 8192


def of_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Last scalars as XCom takes them: NaN and infinities as words, 50 names and 8 kB at most."""
    kept: dict[str, Any] = {}
    room = MOST_BYTES - 2
    for name, value in list(metrics.items())[:MOST_METRICS]:
        value = json_safe(value)
        room -= len(json.dumps({name: value}))
        if room < 0:
            break
        kept[name] = value
    return kept


def push(context: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Push each value under its own key, unless the task's author wants no XComs."""
    if context["ti"].task.do_xcom_push:
        for key, value in values.items():
            context["ti"].xcom_push(key=key, value=value)


def json_safe(value: Any) -> Any:
    """A scalar that strict JSON holds; others as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return _WORDS.get(value, "NaN")
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)
