"""What other tasks learn of a run must be small and strict JSON."""

from __future__ import annotations

import json
import math

import pytest

from airflow_train.tasks import xcom


@pytest.mark.parametrize(
    ("value", "expected"),
    [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (0.5, 0.5), (True, True)],
)
def test_a_metric_becomes_strict_json_that_float_reads_back(value: float, expected: object) -> None:
    found = xcom.of_metrics({"loss": value})["loss"]
    assert found == expected
    json.dumps(found, allow_nan=False)
    assert math.isnan(value) or float(found) == value


def test_fifty_metrics_at_most() -> None:
    assert len(xcom.of_metrics({f"m{number}": number for number in range(200)})) == 50


def test_eight_kilobytes_at_most() -> None:
    found = xcom.of_metrics({f"{number:02d}" + "x" * 600: 1.0 for number in range(50)})
    assert 0 < len(json.dumps(found)) <= 8192
