"""A source directory travels whole, as it was, and nothing besides."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from airflow_train.exceptions import SnapshotError
from airflow_train.store import layout, snapshots
from airflow_train.store.files import Files
from tests.store.trees import FILES, names, tree, write


def test_what_is_restored_is_what_was_taken(files: Files, source: Path, tmp_path: Path) -> None:
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    (source / "empty/inner").mkdir(parents=True)
    (source / "link.py").symlink_to("pkg/deep/a b.py")
    (source / "pkg/up").symlink_to("../ünï")
    (source / "dangling").symlink_to("not/there")
    taken = snapshots.take(files, source)
    snapshots.restore(files, taken.id, tmp_path / "new/copy")
    assert tree(tmp_path / "new/copy") == tree(source)
    assert (taken.files, taken.bytes) == (8, sum(map(len, (text.encode() for text in FILES.values()))) + 10)


def test_same_tree_has_the_same_id_wherever_and_whenever(files: Files, source: Path, tmp_path: Path) -> None:
    first = snapshots.take(files, source)
    other = write(tmp_path / "elsewhere", dict(reversed(FILES.items())))
    os.utime(other / "train.py", (1, 1))
    (other / "train.py").chmod(0o600)
    again = snapshots.take(files, other)
    assert (again.id, again.new_bytes) == (first.id, 0)


def test_every_difference_makes_another_id(files: Files, source: Path) -> None:
    ids = [snapshots.take(files, source).id]
    for change in (
        lambda: (source / "train.py").write_text("print(2)\n"),
        lambda: (source / "train.py").chmod(0o755),
        lambda: (source / "train.py").rename(source / "other.py"),
        (source / "empty").mkdir,
        lambda: (source / "link").symlink_to("other.py"),
        lambda: ((source / "link").unlink(), (source / "link").symlink_to("pkg")),
    ):
        change()
        ids.append(snapshots.take(files, source).id)
    assert len(set(ids)) == len(ids)


def test_manifest_is_ascii_json_and_its_id_is_its_digest(files: Files, source: Path) -> None:
    Path(os.fsdecode(os.fsencode(source) + b"/not-utf8-\xff\n.txt")).write_text("")
    taken = snapshots.take(files, source)
    document = json.loads(files.read(layout.snapshot(taken.id)).decode("ascii"))
    assert document["format"] == 1
    assert [os.fsencode(one[0]) for one in document["entries"] if "not" in one[0]] == [b"not-utf8-\xff\n.txt"]
    assert document["entries"] == snapshots.read_manifest(files, taken.id)


def test_git_and_the_store_never_travel(source: Path) -> None:
    write(source, {".git/config": "token", "vendor/.git": "gitdir: x", "runs/readme": "1"})
    files = Files.open(source / "runs/store")
    first = snapshots.take(files, source)
    assert sorted(names(files, first)) == sorted([*FILES, "runs/readme"])
    assert snapshots.take(files, source).id == first.id
    with pytest.raises(SnapshotError, match="is the run store itself"):
        snapshots.take(Files.open(source), source)


def test_what_docker_keeps_in_an_ignored_folder_travels_alone(files: Files, source: Path) -> None:
    write(
        source,
        {".dockerignore": "data\npkg\n!data/keep/*.txt\n!pkg/none\n", "data/keep/a.txt": "", "data/b": ""},
    )
    manifest = snapshots.read_manifest(files, snapshots.take(files, source).id)
    paths = [entry[0] for entry in manifest]
    assert [one for one in paths if one.startswith(("data", "pkg"))] == [
        "data",
        "data/keep",
        "data/keep/a.txt",
    ]
    assert snapshots.take(files, source).files == 4


def test_measure_counts_what_take_would_and_writes_nothing(
    files: Files, source: Path, tmp_path: Path
) -> None:
    found = snapshots.measure(source, entry_script="train.py")
    assert list(tmp_path.iterdir()) == [source]
    taken = snapshots.take(files, source)
    assert found == {"files": taken.files, "bytes": taken.bytes}


def test_large_files_are_never_held_in_memory(files: Files, source: Path, tmp_path: Path) -> None:
    with (source / "weights.bin").open("wb") as stream:
        for number in range(48):
            stream.write(bytes([number]) * (1 << 20))
    tracemalloc.start()
    taken = snapshots.take(files, source)
    snapshots.restore(files, taken.id, tmp_path / "copy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert (tmp_path / "copy/weights.bin").stat().st_size == 48 << 20


def test_store_without_a_folder_works_as_well(source: Path, tmp_path: Path) -> None:
    (source / "weights.bin").write_bytes(os.urandom(5 << 20))
    files = Files.open(f"memory://{tmp_path.name}-snapshots")
    taken = snapshots.take(files, source)
    assert snapshots.take(files, source) == snapshots.Snapshot(taken.id, taken.files, taken.bytes, 0)
    snapshots.restore(files, taken.id, tmp_path / "copy")
    assert (tmp_path / "copy/weights.bin").read_bytes() == (source / "weights.bin").read_bytes()


def test_restore_never_mixes_with_what_is_there(files: Files, source: Path, tmp_path: Path) -> None:
    taken = snapshots.take(files, source)
    with pytest.raises(SnapshotError, match="isn't empty"):
        snapshots.restore(files, taken.id, source)
    with pytest.raises(SnapshotError, match="can't be a folder"):
        snapshots.restore(files, taken.id, source / "train.py")
    with pytest.raises(SnapshotError, match="no id of a snapshot"):
        snapshots.restore(files, "../runs", tmp_path / "copy")
    with pytest.raises(SnapshotError, match="There is no snapshot"):
        snapshots.restore(files, "0" * 64, tmp_path / "copy")


def test_damaged_manifest_is_noticed(files: Files, source: Path, tmp_path: Path) -> None:
    taken = snapshots.take(files, source)
    manifest = layout.snapshot(taken.id)
    files.write(manifest, files.read(manifest).replace(b"train.py", b"../../up"))
    with pytest.raises(SnapshotError, match="damaged"):
        snapshots.restore(files, taken.id, tmp_path / "copy")


def _take(store: str, source: str) -> str:
    return snapshots.take(Files.open(store), Path(source)).id


def test_eight_processes_take_one_tree_at_once(files: Files, source: Path, tmp_path: Path) -> None:
    write(source, {f"many/{n}.py": f"x = {n % 50}\n" for n in range(300)})
    with multiprocessing.get_context("spawn").Pool(8) as pool:
        ids = pool.starmap(_take, [(files.uri, str(source))] * 16, chunksize=1)
    assert len(set(ids)) == 1
    snapshots.restore(files, ids[0], tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(source)


def test_killed_snapshot_leaves_nothing_that_the_next_one_trusts(
    files: Files, source: Path, tmp_path: Path
) -> None:
    write(source, {f"many/{n}.py": f"x = {n}\n" * 50 for n in range(2000)})
    program = (
        "import sys; from pathlib import Path; from airflow_train.store import snapshots\n"
        "from airflow_train.store.files import Files\n"
        "snapshots.take(Files.open(sys.argv[1]), Path(sys.argv[2]))"
    )
    for wanted in (1, 300, 900, 1500):
        process = subprocess.Popen([sys.executable, "-c", program, files.uri, str(source)])
        while process.poll() is None and sum(1 for _ in Path(files.uri).glob("blobs/*/*")) < wanted:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if wanted <= 900:
            assert not Path(files.uri, "snapshots").exists()
    taken = snapshots.take(files, source)
    snapshots.restore(files, taken.id, tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(source)
