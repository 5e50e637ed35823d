"""The door to the store: names appear whole, once, and whoever comes second is told."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from airflow_train.exceptions import ConfigurationError, StoreError
from airflow_train.store.files import Files
from airflow_train.store.local import TEMPORARY

PROCESSES = 8


@pytest.fixture(params=["local", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """An empty store of each kind that needs no server."""
    return Files.open(tmp_path / "a store" if request.param == "local" else f"memory://{uuid.uuid4()}/store")


def test_the_first_to_create_a_name_wins(files: Files) -> None:
    assert files.create("deep/folder/a.json", b"1")
    assert not files.create("deep/folder/a.json", b"2")
    assert not files.create("deep/folder/a.json", b"1")
    assert files.read("deep/folder/a.json") == b"1"


def test_empty_content_is_created_exclusively_too(files: Files) -> None:
    assert files.create("marker", b"")
    assert not files.create("marker", b"")
    assert files.read("marker") == b""


def test_write_replaces(files: Files) -> None:
    files.write("heartbeat", b"1")
    files.write("heartbeat", b"22")
    assert files.read("heartbeat") == b"22"


def test_numbers_follow_each_other_past_four_digits(files: Files) -> None:
    assert [files.next_number("owners", lambda n: b"%d" % n) for _ in range(3)] == [1, 2, 3]
    files.create("owners/9999.json", b"")
    assert files.next_number("owners", lambda n: b"%d" % n) == 10000
    assert files.numbers("owners") == [1, 2, 3, 9999, 10000]


def test_a_range_starts_where_the_reader_stopped(files: Files) -> None:
    files.write("log", b"hello")
    assert files.read_range("log", 3) == b"lo"
    assert files.read_range("log", 5) == files.read_range("log", 9) == b""


def test_listings_show_names_and_walks_show_depths(files: Files) -> None:
    for name in ("f/b", "f/a", "f/sub/c"):
        files.create(name, b"xy")
    assert files.list("f") == ["a", "b", "sub"]
    assert sorted((name, size) for name, size, _ in files.walk("f")) == [("a", 2), ("b", 2), ("sub/c", 2)]


def test_what_is_not_there_reads_as_nothing(files: Files) -> None:
    assert files.list("nowhere") == list(files.walk("nowhere")) == []
    assert files.read_or_none("nowhere") is files.read_json_or_none("nowhere") is None
    assert not files.exists("nowhere")
    files.delete("nowhere")
    files.delete_tree("nowhere")
    with pytest.raises(FileNotFoundError):
        files.read("nowhere")


def test_two_who_remove_a_folder_at_once_both_succeed(tmp_path: Path) -> None:
    files = Files.open(tmp_path)
    for number in range(2000):
        tmp_path.joinpath("f", str(number % 20)).mkdir(parents=True, exist_ok=True)
        tmp_path.joinpath("f", str(number % 20), str(number)).touch()
    with ThreadPoolExecutor(4) as pool:
        for removed in [pool.submit(files.delete_tree, "f") for _ in range(4)]:
            removed.result()
    assert not files.exists("f")


def test_files_are_copied_in_once_and_out_whole(files: Files, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"weights" * 1000)
    assert files.copy_in(tmp_path / "model", "m/model")
    assert not files.copy_in(tmp_path / "model", "m/model")
    files.copy_out("m/model", tmp_path / "new" / "folder" / "model")
    assert (tmp_path / "new/folder/model").read_bytes() == b"weights" * 1000


def test_a_store_survives_pickling(files: Files) -> None:
    files.create("a", b"1")
    assert pickle.loads(pickle.dumps(files)).read("a") == b"1"


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", "a//b", "./a", "a/", "a\0b", f"a/{TEMPORARY}x"])
def test_names_that_leave_the_store_are_refused(files: Files, name: str) -> None:
    with pytest.raises(StoreError, match="is no name in a store"):
        files.create(name, b"")


def test_damaged_json_is_named(files: Files) -> None:
    files.create("a.json", b'{"half')
    with pytest.raises(StoreError, match=r"a\.json is not JSON .*damaged"):
        files.read_json("a.json")


def _race(uri: str, barrier: Barrier, results: multiprocessing.SimpleQueue[object]) -> None:
    files = Files.open(uri)
    won = []
    for attempt in range(40):
        barrier.wait()
        won.append(files.create(f"claims/{attempt}", b"%d" % os.getpid()))
    numbers = [files.next_number("numbers", lambda _: b"%d" % os.getpid()) for _ in range(20)]
    results.put((os.getpid(), won, numbers))


def test_of_eight_processes_exactly_one_wins_and_no_number_is_given_twice(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(PROCESSES), context.SimpleQueue()
    racers = [
        context.Process(target=_race, args=(str(tmp_path / "s"), barrier, results)) for _ in range(PROCESSES)
    ]
    for racer in racers:
        racer.start()
    answers = [results.get() for _ in racers]
    for racer in racers:
        racer.join()
    files = Files.open(tmp_path / "s")
    for attempt in range(40):
        winners = [pid for pid, won, _ in answers if won[attempt]]
        assert [b"%d" % pid for pid in winners] == [files.read(f"claims/{attempt}")]
    assert sorted(n for _, _, numbers in answers for n in numbers) == list(range(1, PROCESSES * 20 + 1))


WRITER = """
import sys
from airflow_train.store.files import Files
files = Files.open(sys.argv[1])
print("ready", flush=True)
for number in range(10**9):
    files.create(f"r/{number}.json", b"x" * 200_000)
"""


def test_a_killed_writer_leaves_no_half_record(tmp_path: Path) -> None:
    for attempt in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        while not (tmp_path / "r" / f"{attempt * 7}.json").exists():
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        files = Files.open(tmp_path)
        assert {size for _, size, _ in files.walk("r")} == {200_000}
        assert not [name for name in files.list("r") if name.startswith(TEMPORARY)]
        files.delete_tree("r")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://key:hush@bucket/x",
        "s3://hush@bucket",
        "s3://key:hu/hush@bucket",
        "memory://x?token=hush",
        "gs://b/x?sig=hush",
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="holds credentials") as error:
        Files.open(uri)
    assert "hush" not in str(error.value)


def test_kinds_of_store_without_exclusive_create_are_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"'sftp', which can't make files exclusively; use a path or s3://"
    ):
        Files.open("sftp://host/store")


def test_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Files.open("a/../b").uri == str(tmp_path / "b")
    assert Files.open("~/store").uri == str(tmp_path / "home/store")
    assert Files.open(f"file://{tmp_path}/b").join("x", "y") == f"{tmp_path}/b/x/y"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [(errno.ENOSPC, "no space is left"), (errno.EROFS, "read-only"), (errno.EPERM, "hard links")],
)
def test_what_the_system_refuses_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StoreError, match=sentence) as error:
        Files.open(tmp_path).create("runs/a/spec.json", b"{}")
    assert f"{tmp_path}/runs/a/spec.json" in str(error.value)
    assert list(Files.open(tmp_path).walk("")) == []


def test_a_file_in_place_of_the_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        Files.open(tmp_path / "store").create("a/b", b"1")


@pytest.mark.parametrize("name", ["runs/a/link", "runs/a/folder/file"])
def test_below_the_folder_of_a_run_links_lead_nowhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("of the machine")
    (tmp_path / "store" / "runs" / "a").mkdir(parents=True)
    (tmp_path / "store" / "runs" / "a" / "link").symlink_to(tmp_path / "outside" / "file")
    (tmp_path / "store" / "runs" / "a" / "folder").symlink_to(tmp_path / "outside")
    files = Files.open(tmp_path / "store")

    assert files.read_or_none(name) is None
    assert list(files.walk("runs/a/folder")) == files.list("runs/a/folder") == []
    for content in (b"", b"more"):
        with pytest.raises(StoreError, match=r"a link stands on its way.*remove the link"):
            files.create("runs/a/folder/new", content)
    assert os.listdir(tmp_path / "outside") == ["file"]


def test_a_store_and_its_runs_may_be_reached_by_links(tmp_path: Path) -> None:
    (tmp_path / "disk" / "runs").mkdir(parents=True)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "runs").symlink_to(tmp_path / "disk" / "runs")
    (tmp_path / "linked").symlink_to(tmp_path / "store")
    files = Files.open(tmp_path / "linked")

    assert files.create("runs/a/files/x", b"1")
    assert files.read("runs/a/files/x") == b"1"
    assert files.list("runs/a/files") == ["x"]
