"""The runtime's parts by themselves, and a whole run on the oldest Python it promises to work on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_train import targets
from airflow_train.lifecycle import cancel
from airflow_train.runtime import output, ports, processes, protocol, records, staging, starting, supervisor
from tests.targets.lab import Lab, until

# ---------------------------------------------------------------------- Python 3.8


@pytest.fixture
def on_38(lab: Lab, python38: str, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Supervisor, wrappers and scripts all run on Python 3.8."""
    monkeypatch.setattr("airflow_train.targets.local.target.sys.executable", python38)
    return lab


@pytest.mark.python38
def test_a_whole_run_works_on_python_38(on_38: Lab) -> None:
    view = on_38.run(
        """
        import train_run
        run = train_run.Run.get_context()
        run.log("python", "%d.%d" % sys.version_info[:2])
        print(open("/proc/%d/cmdline" % os.getppid()).read().split("\\0")[0])
        open("outputs/ä.txt", "w").write("x")
        """,
        distribution={"type": "pytorch"},
        process_count_per_node=2,
    )
    run_id = view.record.run_id

    assert view.status == "Completed", view.record.reason
    assert on_38.store.last_metrics(run_id) == {"python": "3.8"}
    assert {line.rpartition("/")[2] for line in on_38.lines(run_id)} == {"python3.8"}
    assert on_38.output(run_id, "outputs/ä.txt") == "x"
    assert on_38.nothing_left(run_id)


@pytest.mark.python38
def test_failure_cancel_and_the_death_of_the_supervisor_work_on_python_38(on_38: Lab) -> None:
    failed = on_38.run("raise ValueError('bad')")
    assert (failed.record.verdict or {})["exception"]["type"] == "ValueError"

    cancelled = on_38.start("mark('ready'); time.sleep(1000)")
    on_38.marked(cancelled, "ready")
    cancel.cancel(on_38.store, cancelled)
    assert on_38.wait(cancelled).status == "Canceled"

    orphaned = on_38.start("open('outputs/a', 'w').write('kept'); mark('ready'); time.sleep(1000)")
    on_38.marked(orphaned, "ready")
    os.kill(on_38.supervisor(orphaned), 9)
    assert (on_38.wait(orphaned).record.verdict or {})["reason"] == "infrastructure"
    assert on_38.output(orphaned, "outputs/a") == "kept"


# ---------------------------------------------------------------------- protocol and records


def test_a_time_survives_being_written_down() -> None:
    for seconds in (0.0, 1.999, 1795237200.031, time.time()):
        stamp = protocol.timestamp(seconds)
        assert len(stamp) == 24
        assert abs(protocol.seconds_of(stamp) - seconds) < 0.0011


def test_a_process_is_told_from_the_next_one_with_its_number() -> None:
    with subprocess.Popen(["sleep", "1000"]) as sleeper:
        who = protocol.identity(sleeper.pid)
        assert protocol.alive(who) is True
        assert protocol.alive({**who, "start_time": "1"}) is False
        assert protocol.alive({**who, "boot": "another"}) is False
        assert protocol.alive({**who, "host": "another"}) is None
        assert protocol.alive({**who, "namespace": "pid:[1]"}) is None
        sleeper.kill()
        until(lambda: not protocol.alive(who))  # a zombie is dead


def test_a_record_is_made_once_and_never_half(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "record.json")

    assert [records.create(path, {"n": n}) for n in range(3)] == [True, False, False]
    assert records.read(path) == {"n": 0}
    assert records.read(path + "x") is None
    assert os.listdir(tmp_path / "new") == ["record.json"]


def test_events_of_two_writers_get_two_numbers(tmp_path: Path) -> None:
    code = (
        "import sys; from airflow_train.runtime import records\n"
        "for n in range(20): records.append_event(sys.argv[1], 'run', '')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]

    assert [one.wait() for one in writers] == [0, 0]
    assert sorted(os.listdir(tmp_path / "events")) == [f"{n:04d}.json" for n in range(1, 41)]


def test_a_node_starts_once_however_often_it_is_asked(lab: Lab) -> None:
    spec = lab.spec("")
    lab.submit(spec)
    lab.wait(spec.run_id)

    assert supervisor.main(str(lab.path(spec.run_id, "node_0", "launch.json"))) == 0
    assert lab.marks(spec.run_id) == ["start 0"]


# ---------------------------------------------------------------------- output


@contextmanager
def written(path: Path) -> Iterator[Callable[[bytes], output.RankLog]]:
    log = output.RankLog(str(path))
    source, sink = os.pipe()

    def write(data: bytes) -> output.RankLog:
        os.write(sink, data)
        assert log.take(source)
        return log

    yield write
    os.close(sink)
    assert not log.take(source)
    log.close()
    os.close(source)


@pytest.mark.parametrize(
    "pieces",
    [[b"a\nb\n"], [b"a", b"\n", b"b\n"], [b"a\n", b"b"], [b"", b"a\nb"]],
    ids=["whole", "in pieces", "no end", "one piece"],
)
def test_lines_are_whole_however_they_arrive(tmp_path: Path, pieces: list[bytes]) -> None:
    with written(tmp_path / "log") as write:
        for piece in filter(None, pieces):
            write(piece)
    lines = (tmp_path / "log").read_text().split("\n")

    assert [line[25:] for line in lines] == ["a", "b", ""]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            'Traceback (most recent call last):\n  File "/w/a.py", line 3, in f\n    x\nKeyError: 1\n',
            ("KeyError", "1", 'File "a.py", line 3, in f'),
        ),
        (
            'Traceback (most recent call last):\n  File "/w/a.py", line 3, in f\nmy.mod.Odd\nmore\n',
            ("my.mod.Odd", "", 'File "a.py", line 3, in f'),
        ),
        (
            '  File "/w/a.py", line 2\n    x = = 1\n        ^\nSyntaxError: invalid syntax\n',
            ("SyntaxError", "invalid syntax", 'File "a.py", line 2'),
        ),
        ("SyntaxError is a word\n", None),
        ("Traceback (most recent call last):\n  File", None),
        ("", None),
    ],
)
def test_the_last_exception_of_the_output_is_found(
    tmp_path: Path, text: str, found: tuple[str, str, str] | None
) -> None:
    with written(tmp_path / "log") as write:
        log = write(b"x\n" + text.encode())
        exception = log.traceback("/w")

    assert (tuple(exception.values()) if exception else None) == found


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$RANK", "3"),
        ("${RANK}", "3"),
        ("a$RANK-$RANK", "a3-3"),
        ("$RANKS", "$RANKS"),
        ("$RANK_X", "$RANK_X"),
        ("$LOCAL_RANK", "1"),
        ("$HOME", "$HOME"),
        ("RANK", "RANK"),
        ("", ""),
    ],
)
def test_only_names_of_the_launcher_are_filled_in(text: str, filled: str) -> None:
    variables = {"RANK": "3", "LOCAL_RANK": "1", "HOME": "/root"}

    assert starting.arguments([text], variables) == [filled]
    assert starting.arguments([text], {}) == [text]


# ---------------------------------------------------------------------- staging


def test_modes_links_and_empty_folders_are_staged(tmp_path: Path) -> None:
    manifest = tmp_path / "m.json"
    entries = [["bin", "d", 0o755], ["empty", "d", 0o700], ["to", "l", "bin"]]
    manifest.write_text(json.dumps({"format": 1, "entries": entries}))
    count = staging.stage({"manifest": str(manifest), "blobs": ""}, str(tmp_path / "work"), lambda _: None)

    assert count == 0
    assert os.readlink(tmp_path / "work" / "to") == "bin"
    assert sorted(os.listdir(tmp_path / "work")) == ["bin", "empty", "to"]


# ---------------------------------------------------------------------- processes


def test_everything_below_this_process_is_found_and_ended_however_it_hides() -> None:
    code = (
        "from airflow_train.runtime import processes as p; import os, subprocess, time; p.adopt_orphans();"
        "subprocess.Popen(['setsid', 'sh', '-c', 'sleep 1000 & setsid sleep 1000 & exec setsid sleep 1000']);"
        "time.sleep(0.3); print(len(p.end_descendants()), p.descendants(os.getpid()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30
    )

    assert done.stdout == "3 []\n", done.stderr
    assert processes.descendants(2**30) == []


def test_ports_are_different_and_free() -> None:
    with ports.free(20) as numbers:
        assert len(set(numbers)) == 20


def test_an_option_names_the_interpreter_of_definitions_that_name_none(lab: Lab, tmp_path: Path) -> None:
    named = tmp_path / "chosen"
    named.symlink_to(sys.executable)
    target = {"name": "mine", "type": "local", "options": {"interpreter_path": str(named)}}
    spec = replace(lab.spec(""), target=target)

    assert targets.get(target).plan(spec, lab.store).to_json()["launch"]["command"][0] == str(named)
