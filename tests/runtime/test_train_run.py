"""`train_run` as a training script sees it: inside a run, without one, killed, forked, on the oldest Python."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import airflow_train
from airflow_train.runtime import protocol

SCRIPT = Path(airflow_train.__file__).parent / "runtime" / "script" / "train_run.py"


@pytest.fixture
def train_run() -> Iterator[ModuleType]:
    """A fresh copy of the module, as a new process would have it."""
    spec = importlib.util.spec_from_file_location("train_run", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_run"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["train_run"]


def run_environment(folder: Path) -> dict[str, str]:
    return {
        protocol.RUN_ID: "digits_1",
        protocol.EXPERIMENT: "digits",
        protocol.METRICS: str(folder / "metrics" / "rank_2.jsonl"),
        protocol.FILES: str(folder / "files"),
        protocol.TAGS: '{"stage": "first", "owner": "me"}',
        protocol.RANK: "2",
        protocol.CANCEL: str(folder / "cancel.json"),
    }


@pytest.fixture
def run(train_run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in run_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return train_run.Run.get_context()


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run a script inside a run, `python` of choice, with `train_run` on its path."""

    def start(text: str, python: str = sys.executable) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, **run_environment(tmp_path), "PYTHONPATH": str(SCRIPT.parent)}
        return subprocess.run(
            [python, "-c", text], env=environment, capture_output=True, timeout=60, check=False
        )

    return start


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "metrics" / "rank_2.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_the_run_is_the_one_of_the_environment(run: Any, train_run: ModuleType) -> None:
    assert (run.id, run.experiment.name, str(run.experiment), run.rank) == ("digits_1", "digits", "digits", 2)
    assert run.tags == {"stage": "first", "owner": "me"}
    assert train_run.Run.get_context() is run


def test_a_scalar_is_one_line(run: Any, tmp_path: Path) -> None:
    run.log("loss", 0.25, step=3, description="two\nlines")
    (line,) = lines(tmp_path)
    assert isinstance(line.pop("t"), float)
    assert line == {"k": "scalar", "n": "loss", "v": 0.25, "s": 3, "d": "two\nlines"}


@pytest.mark.parametrize("value", [0.1, 1e300, 3, True, "ä\n\u2028", float("inf"), float("-inf")])
def test_a_scalar_comes_back_as_it_was(run: Any, value: Any) -> None:
    run.log("x", value)
    assert run.get_metrics() == {"x": value}
    assert type(run.get_metrics()["x"]) is type(value)


def test_nan_is_kept(run: Any) -> None:
    run.log("x", float("nan"))
    assert str(run.get_metrics()["x"]) == "nan"


def test_numpy_values_are_converted(run: Any, tmp_path: Path) -> None:
    import numpy as np

    for value in (np.float64(0.5), np.float32(0.5), np.int64(3), np.bool_(True), np.array(2.5), np.str_("a")):
        run.log("x", value)
    run.log("x", np.longdouble(0.5), step=np.int64(7))
    assert [line["v"] for line in lines(tmp_path)] == [0.5, 0.5, 3, True, 2.5, "a", 0.5]
    assert lines(tmp_path)[-1]["s"] == 7


def test_other_objects_are_logged_by_their_repr_with_one_notice(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run.log("x", None)
    run.log("x", None)
    assert run.get_metrics() == {"x": ["None", "None"]}
    assert capsys.readouterr().err.count("repr()") == 1


@pytest.mark.parametrize("value", [[1], (1, 2), range(3), {"a": 1}, iter([1])])
def test_a_list_given_to_log_is_refused_with_the_mend(run: Any, train_run: ModuleType, value: Any) -> None:
    with pytest.raises(train_run.WrongValue, match=r"log_list") as caught:
        run.log("x", value)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)


def test_lists_of_every_kind_are_lists(run: Any) -> None:
    import numpy as np

    for name, value in {"a": [1, 2], "b": (1, 2), "c": np.array([1, 2]), "d": range(1, 3)}.items():
        run.log_list(name, value)
    assert run.get_metrics() == {name: [1, 2] for name in "abcd"}
    with pytest.raises(TypeError, match="a list is needed"):
        run.log_list("x", "text")


def test_metrics_have_the_shape_of_how_often_they_were_logged(run: Any) -> None:
    run.log("once", 1)
    run.log("often", 1)
    run.log("often", 2)
    run.log_row("row", a=1, b="x")
    run.log_row("rows", a=1)
    run.log_row("rows", a=2, b=5)
    run.log_table("table", {"x": [1, 2], "y": [3, 4]})
    assert run.get_metrics() == {
        "once": 1,
        "often": [1, 2],
        "row": {"a": 1, "b": "x"},
        "rows": {"a": [1, 2], "b": [None, 5]},
        "table": {"x": [1, 2], "y": [3, 4]},
    }
    assert run.get_metrics("once") == {"once": 1}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda run: run.log_row("x", a=[1]), "log_table"),
        (lambda run: run.log_row("x"), "no columns"),
        (lambda run: run.log_table("x", {"a": [1], "b": [1, 2]}), "equally long"),
        (lambda run: run.log_table("x", [1]), "dict of lists"),
        (lambda run: run.log("", 1), "isn't empty"),
        (lambda run: run.log("x", 1, step="two"), "must be a number"),
        (lambda run: run.set_tags("stage"), "takes a dict"),
        (lambda run: run.upload_files(["a"], []), "1 names for 0 paths"),
    ],
)
def test_wrong_values_are_named_with_the_mend(run: Any, call: Callable[[Any], None], sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        call(run)


def test_tags_change_here_and_on_the_wire(run: Any, tmp_path: Path) -> None:
    run.tag("stage", 2)
    run.set_tags({"a": None})
    run.remove_tags(["owner", "unknown"])
    assert run.tags == {"stage": "2", "a": ""}
    wire = [(line["v"], line["r"]) for line in lines(tmp_path)]
    assert wire == [({"stage": "2"}, []), ({"a": ""}, []), ({}, ["owner", "unknown"])]


def test_files_are_stored_once_and_whole(run: Any, train_run: ModuleType, tmp_path: Path) -> None:
    import io

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.bin").write_bytes(b"abc")
    run.upload_file("./outputs/a.bin", tmp_path / "model" / "a.bin")
    run.upload_file("text.txt", io.StringIO("ä"))
    assert run.upload_folder("folder", tmp_path / "model") == ["folder/a.bin"]
    with pytest.raises(train_run.NameTaken, match=r"'outputs/a\.bin'"):
        run.upload_file("outputs/a.bin", tmp_path / "model" / "a.bin")
    with pytest.raises(train_run.NameTaken, match=r"'text\.txt/below'"):
        run.upload_file("text.txt/below", io.BytesIO(b""))
    found = {str(p.relative_to(tmp_path / "files")) for p in (tmp_path / "files").rglob("*") if p.is_file()}
    assert found == {"outputs/a.bin", "text.txt", "folder/a.bin"}
    assert (tmp_path / "files" / "text.txt").read_bytes() == "ä".encode()


@pytest.mark.parametrize(
    "name", ["/etc/x", "../x", "a/../../x", "", ".", "a//b", "a/", "a\0b", ".airflow-train-tmp-x", None]
)
def test_names_that_leave_the_files_of_the_run_are_refused(run: Any, name: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(TypeError, match="must be relative"):
        run.upload_file(name, tmp_path / "a")


def test_a_missing_file_is_named(run: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"nothing\.pkl is no file"):
        run.upload_file("a", tmp_path / "nothing.pkl")
    with pytest.raises(TypeError, match="use upload_folder"):
        run.upload_file("a", tmp_path)


def test_the_status_says_when_cancel_was_asked(run: Any, tmp_path: Path) -> None:
    assert run.get_status() == "Running"
    (tmp_path / "cancel.json").write_text("{}")
    assert run.get_status() == "CancelRequested"


def test_without_a_run_the_same_members_print(
    train_run: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("")
    run = train_run.Run.get_context()
    run.log("loss", 0.5, step=1)
    run.tag("stage", "x")
    run.upload_file("a", tmp_path / "a")
    run.flush()
    run.complete()
    said = capsys.readouterr()
    assert "Attempted to log scalar metric loss:\n0.5\n" in said.out
    assert said.err.count("isn't a run of airflow-train") == 1
    assert run.id.startswith("OfflineRun")
    assert (run.get_metrics(), run.tags, run.get_status()) == ({"loss": 0.5}, {"stage": "x"}, "Running")
    assert run.experiment.name == "offline"
    with pytest.raises(train_run.NameTaken):
        run.upload_file("a", tmp_path / "a")


def test_offline_can_be_forbidden(train_run: ModuleType) -> None:
    with pytest.raises(train_run.NoRun, match="AIRFLOW_TRAIN_RUN_ID isn't set"):
        train_run.Run.get_context(allow_offline=False)


def test_half_an_environment_is_an_error(train_run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(protocol.RUN_ID, "x")
    with pytest.raises(train_run.NoRun, match="AIRFLOW_TRAIN_METRICS isn't"):
        train_run.Run.get_context()


def test_a_killed_script_loses_nothing(
    script: Callable[..., subprocess.CompletedProcess[bytes]], tmp_path: Path
) -> None:
    process = script(
        "from train_run import Run; import os, signal\n"
        "run = Run.get_context()\n"
        "for i in range(1000): run.log('i', i)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert process.returncode == -signal.SIGKILL
    assert [line["v"] for line in lines(tmp_path)] == list(range(1000))


def test_threads_and_forked_workers_lose_nothing(
    script: Callable[..., subprocess.CompletedProcess[bytes]], tmp_path: Path
) -> None:
    process = script(
        "from train_run import Run; import os, threading\n"
        "run = Run.get_context()\n"
        "def work(who):\n"
        "    for i in range(500): run.log_list(who, [i] * 2000)\n"
        "def two_threads():\n"
        "    threads = [threading.Thread(target=work, args=(f'{os.getpid()}-{n}',)) for n in range(2)]\n"
        "    [t.start() for t in threads]; [t.join() for t in threads]\n"
        "children = []\n"
        "for _ in range(2):\n"
        "    children.append(os.fork())\n"
        "    if children[-1] == 0: two_threads(); os._exit(0)\n"
        "two_threads()\n"
        "[os.waitpid(pid, 0) for pid in children]"
    )
    assert process.returncode == 0
    order: dict[str, list[int]] = {}
    for line in lines(tmp_path):
        order.setdefault(line["n"], []).append(line["v"][0])
    assert len(order) == 6
    assert all(numbers == list(range(500)) for numbers in order.values())


def test_two_uploads_of_one_name_have_one_winner(run: Any, train_run: ModuleType, tmp_path: Path) -> None:
    import io

    taken: list[str] = []
    start = threading.Barrier(8)

    def upload(content: bytes) -> None:
        start.wait()
        try:
            run.upload_file("x", io.BytesIO(content * 100_000))
        except train_run.NameTaken as error:
            taken.append(str(error))

    threads = [threading.Thread(target=upload, args=(b"%d" % n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 7
    assert len(set((tmp_path / "files" / "x").read_bytes())) == 1


@pytest.mark.python38
def test_it_works_on_the_oldest_python(
    script: Callable[..., subprocess.CompletedProcess[bytes]], python38: str, tmp_path: Path
) -> None:
    process = script(
        "from train_run import Run; import io\n"
        "run = Run.get_context(allow_offline=False)\n"
        "run.log('loss', 0.5, step=1); run.log_list('l', [1]); run.log_row('r', a=1); run.log_table('t', {'a': [1]})\n"
        "run.tag('a', 1); run.remove_tags('a'); run.upload_file('f', io.BytesIO(b'1'))\n"
        "assert run.tags == {'stage': 'first', 'owner': 'me'}, run.tags\n"
        "print(run.get_metrics())",
        python=python38,
    )
    assert process.stdout.decode() == "{'loss': 0.5, 'l': [1], 'r': {'a': 1}, 't': {'a': 1}}\n"
    assert process.returncode == 0
    assert (tmp_path / "files" / "f").read_bytes() == b"1"


def test_it_imports_the_standard_library_only() -> None:
    tree = ast.walk(ast.parse(SCRIPT.read_text()))
    names = {
        name.split(".")[0]
        for node in tree
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "")]
        )
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert names <= {*sys.stdlib_module_names, "train_redaction"}  # which a run with secrets brings along


def test_it_reads_the_environment_that_the_protocol_names() -> None:
    text = SCRIPT.read_text()
    for name in (
        protocol.RUN_ID, protocol.EXPERIMENT, protocol.METRICS, protocol.FILES, protocol.TAGS, protocol.RANK,
        protocol.CANCEL, protocol.SECRETS,
    ):  # fmt: skip
        assert f'"{name}"' in text
