"""From the lines of a run to its metrics and tags."""

from __future__ import annotations

import importlib.util
import json
import math
import random
from pathlib import Path
from typing import Any

import airflow_train
from airflow_train.runs import metrics


def line(kind: str, name: str, value: Any, **more: Any) -> bytes:
    return json.dumps({"k": kind, "n": name, "v": value, **more}).encode() + b"\n"


def fold(data: bytes, name: str | None = None) -> dict[str, Any]:
    return metrics.fold([data], name)


def test_once_is_a_value_and_several_are_a_list() -> None:
    data = (
        line("scalar", "a", 1) + line("scalar", "b", 1) + line("scalar", "b", 2) + line("list", "c", [1, 2])
    )
    assert fold(data) == {"a": 1, "b": [1, 2], "c": [1, 2]}
    assert fold(data, "b") == {"b": [1, 2]}


def test_rows_make_a_table_and_missing_cells_are_none() -> None:
    data = line("row", "a", {"x": 1}) + line("row", "b", {"x": 1}) + line("row", "b", {"y": 2})
    data += line("table", "c", {"x": [1, 2]}) + line("row", "c", {"x": 3})
    assert fold(data) == {"a": {"x": 1}, "b": {"x": [1, None], "y": [None, 2]}, "c": {"x": [1, 2, 3]}}


def test_nan_and_infinities_are_kept() -> None:
    values = fold(line("scalar", "a", math.nan) + line("scalar", "b", -math.inf))
    assert math.isnan(values["a"])
    assert values["b"] == -math.inf


def test_a_torn_last_line_is_left_out() -> None:
    whole = line("scalar", "a", 1)
    for cut in range(1, len(whole)):
        assert fold(whole + whole[:-cut]) == {"a": 1}


def test_a_line_torn_in_the_middle_costs_only_itself() -> None:
    torn = line("scalar", "b", "x" * 20)[:-9]
    assert fold(line("scalar", "a", 1) + torn + line("scalar", "c", '{"k":') + line("scalar", "d", 4)) == {
        "a": 1,
        "c": '{"k":',
        "d": 4,
    }


def test_nothing_logged_is_no_metrics() -> None:
    assert fold(b"") == {}
    assert fold(b"{") == {}


def test_blocks_join_without_a_seam() -> None:
    data = b"".join(line("scalar", "a", n) for n in range(100_000)) + line("list", "long", [0] * 500_000)
    assert len(data) > 3 * metrics._BLOCK
    assert fold(data) == {"a": list(range(100_000)), "long": [0] * 500_000}


ODD = (
    line("tags", "", {"a": "1"}), line("scalar", "nan", math.nan), line("scalar", "huge", 10**30),
    line("scalar", "text", "ä\ud800😀"), line("row", "r", {"x": 1}), line("table", "t", {"x": [1, 2]}),
    line("scalar", "a", 1)[:-9] + line("scalar", "a", 7), line("image", "i", "i_1.png", d="a, \"b\""),
    b'{"k":"scalar","v":1}\n', b'{"k":"scalar","n":[1],"v":1}\n', b'{"k":"scalar","n":"late","v":1,"t":"x"}\n',
    b'{"k":"row","n":"no","v":3}\n', b'{"k":"table","n":"no","v":{"x":3}}\n', b"[]\n", b"1e999\n",
)  # fmt: skip


def test_large_files_are_read_as_small_ones(monkeypatch: Any) -> None:
    draw = random.Random(3)
    data = b"".join(
        draw.choice(ODD)
        if draw.random() < 0.01
        else line("scalar", draw.choice("abc"), draw.random(), t=float(n))
        for n in range(40_000)
    )
    assert len(data) > metrics._BLOCK
    large = metrics.fold([data]), metrics.last_scalars([data]), metrics.fold([data, data])
    monkeypatch.setattr(metrics, "_BLOCK", len(data) + 1)
    small = metrics.fold([data]), metrics.last_scalars([data]), metrics.fold([data, data])

    assert repr(large) == repr(small)
    assert {"no", "late"} & set(large[0]) == {"late"}


def test_ranks_are_merged_by_time_and_keep_their_own_order() -> None:
    first = line("scalar", "a", 1, t=1.0) + line("scalar", "a", 4, t=9.0) + line("scalar", "a", 5, t=8.0)
    second = line("scalar", "a", 2, t=2.0) + line("scalar", "a", 3, t=3.0)
    assert metrics.fold([first, second]) == {"a": [1, 2, 3, 4, 5]}
    assert metrics.fold([]) == {}


def test_last_scalars_are_bounded() -> None:
    data = line("scalar", "a", 1) + line("list", "l", [1]) + line("scalar", "t", "x" * 1000)
    data += b"".join(line("scalar", f"m{n}", n) for n in range(100)) + line("scalar", "a", 2)
    last = metrics.last_scalars([data])
    assert list(last)[:3] == ["a", "t", "m0"]
    assert len(last) == 50
    assert last["a"] == 2
    assert last["t"] == "x" * 99 + "…"


def test_tags_are_set_and_removed_in_order() -> None:
    data = b'{"k":"tags","v":{"a":"1","b":"2"},"r":[]}\n{"k":"tags","v":{"c":"3"},"r":["a","unknown"]}\n'
    assert metrics.fold_tags({"a": "0", "d": "4"}, [data]) == {"b": "2", "c": "3", "d": "4"}


def test_tags_changed_from_outside_count_by_their_time() -> None:
    rank = (
        b'{"k":"tags","v":{"a":"1"},"r":[],"t":1.5}\n{"k":"scalar","n":"{\\"k\\":\\"tags\\"","v":1,"t":2}\n'
    )
    outside = [
        {"at": "1970-01-01T00:00:01.000Z", "set": {"a": "0", "b": "1"}, "remove": []},
        {"at": "1970-01-01T00:00:02.000Z", "set": {}, "remove": ["b"]},
    ]
    assert metrics.fold_tags({}, [rank, b""], outside) == {"a": "1"}


def test_json_safe_has_no_nan_anywhere() -> None:
    safe = metrics.json_safe({"a": math.nan, "b": [math.inf, {"c": (-math.inf, 1.5, "x", None, True)}]})
    assert safe == {"a": "NaN", "b": ["Infinity", {"c": ["-Infinity", 1.5, "x", None, True]}]}
    json.dumps(safe, allow_nan=False)


def test_the_script_sees_the_same_metrics_as_everyone_else(tmp_path: Path) -> None:
    path = Path(airflow_train.__file__).parent / "runtime" / "script" / "train_run.py"
    spec = importlib.util.spec_from_file_location("train_run_for_comparison", path)
    assert spec is not None
    assert spec.loader is not None
    train_run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train_run)
    log = tmp_path / "rank_0.jsonl"
    run = train_run.Run("id", "e", {"a": "1"}, 0, train_run._Place(str(log), str(tmp_path), ""))
    draw = random.Random(7)
    for number in range(300):
        _log_something(run, draw, f"m{draw.randrange(40)}", number)
    data = log.read_bytes()
    assert fold(data) == run.get_metrics()
    assert metrics.fold_tags({"a": "1"}, [data]) == run.tags


def _log_something(run: Any, draw: random.Random, name: str, number: int) -> None:
    calls = [
        lambda: run.log(name, number),
        lambda: run.log_list(name, [number]),
        lambda: run.log_row("r" + name, **{draw.choice("xyz"): number}),
        lambda: run.log_table("r" + name, {"x": [number] * 3}),
        lambda: run.tag(name, number),
        lambda: run.remove_tags(["a", name]),
    ]
    draw.choice(calls)()
