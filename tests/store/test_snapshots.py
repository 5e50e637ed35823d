"""A source directory travels whole, as it was, and nothing besides."""

from __future__ import annotations

import json
import logging
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
from airflow_train.store import contents, layout, snapshots
from airflow_train.store.files import Files

FILES = {"train.py": "print(1)\n", "pkg/__init__.py": "", "pkg/deep/a b.py": "x = 1\n", "ünï/#1.txt": "…"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/airflow-train/snapshots"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files.open(tmp_path / "a store")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "my source", FILES)


def write(folder: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def age(folder: Path) -> None:
    """Waits until no file is so young that a change could pass unseen."""
    newest = max(path.lstat().st_ctime_ns for path in folder.rglob("*"))
    while time.time_ns() < newest + 110_000_000:
        time.sleep(0.01)


def tree(folder: Path) -> dict[str, str]:
    """Everything below a folder in one comparable form."""
    found = {}
    for path in folder.rglob("*"):
        mode = "x" if path.lstat().st_mode & 0o100 else "-"
        kind = (
            f"-> {os.readlink(path)}"
            if path.is_symlink()
            else "dir"
            if path.is_dir()
            else mode + path.read_text()
        )
        found[str(path.relative_to(folder))] = kind
    return found


def names(files: Files, snapshot: snapshots.Snapshot) -> list[str]:
    return [entry[0] for entry in snapshots.read_manifest(files, snapshot.id) if entry[1] != "d"]


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


def test_only_changed_bytes_move_and_are_read(
    files: Files, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(source)
    snapshots.take(files, source)
    (source / "pkg/deep/a b.py").write_text("x = 22\n")
    read: list[str] = []
    put = contents.put
    monkeypatch.setattr(
        contents, "put", lambda files, path: (read.append(Path(path).name), put(files, path))[1]
    )
    assert snapshots.take(files, source).new_bytes == 7
    assert read == ["a b.py"]


def test_change_right_after_a_snapshot_is_seen_though_nothing_shows_it(files: Files, source: Path) -> None:
    script = source / "train.py"
    for number in range(50):
        script.write_text(f"print({number % 10})\n")
        taken = snapshots.take(files, source)
        digest = next(e[4] for e in snapshots.read_manifest(files, taken.id) if e[0] == "train.py")
        assert files.read(layout.blob(digest)) == script.read_bytes()


def test_a_change_of_rules_is_seen_in_every_folder(files: Files, source: Path) -> None:
    age(source)
    everything = names(files, snapshots.take(files, source))
    (source / ".gitignore").write_text("__init__.py\n")
    assert set(everything) - set(names(files, snapshots.take(files, source))) == {"pkg/__init__.py"}
    (source / "pkg/.gitignore").write_text("!__init__.py\n")
    assert set(names(files, snapshots.take(files, source))) == {*everything, ".gitignore", "pkg/.gitignore"}


@pytest.mark.parametrize("damage", ["cut", "flip", "other", "store", "unwritable", "no home"])
def test_cache_is_never_needed_and_never_believed_wrongly(
    files: Files, source: Path, tmp_path: Path, cache: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(source)
    expected = snapshots.take(files, source)
    (path,) = cache.iterdir()
    if damage in ("cut", "flip", "other"):
        data = path.read_bytes()
        path.write_bytes({"cut": data[:-9], "flip": data[:60] + b"\xff" + data[61:], "other": b"{}"}[damage])
    elif damage == "store":
        files.delete_tree("snapshots")
        files.delete_tree("blobs")
    elif damage == "unwritable":
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/1/nothing")
    else:
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", "")
    again = snapshots.take(files, source)
    assert again.id == expected.id
    snapshots.restore(files, again.id, tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(source)


def test_blob_that_lost_its_content_is_stored_again(files: Files, source: Path, tmp_path: Path) -> None:
    first = snapshots.take(files, source)
    digest = next(e[4] for e in snapshots.read_manifest(files, first.id) if e[0] == "train.py")
    files.write(layout.blob(digest), b"")
    with pytest.raises(SnapshotError, match=r"content of train\.py, is damaged"):
        snapshots.restore(files, first.id, tmp_path / "broken")
    snapshots.take(files, write(tmp_path / "other", {"same.py": FILES["train.py"]}))
    snapshots.restore(files, first.id, tmp_path / "copy")


@pytest.mark.parametrize(
    "target",
    ["../../secret", "{tmp}/secret", "deep/../../../secret", "hop/secret", "{tmp}/my source/../secret"],
)
def test_link_that_leads_outside_is_refused_and_not_followed(
    files: Files, source: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "secret").write_text("s3cr3t-content")
    (source / "pkg/hop").symlink_to("../..")
    (source / ".amlignore").write_text("hop\n")
    (source / "pkg/link").symlink_to(target.format(tmp=tmp_path))
    with pytest.raises(
        SnapshotError, match=r"pkg/link is a link to .* leads out of the source directory.*line /pkg/link"
    ):
        snapshots.take(files, source)
    assert not any(b"s3cr3t" in path.read_bytes() for path in tmp_path.glob("a store/**/*") if path.is_file())


def test_link_that_turned_outside_by_way_of_an_ignored_one_is_refused(
    files: Files, source: Path, tmp_path: Path
) -> None:
    write(source, {".gitignore": "/hop\n", "data/x": "1"})
    (tmp_path / "x").write_text("secret")
    (source / "hop").symlink_to("data")
    (source / "pkg/link").symlink_to("../hop/x")
    age(source)
    snapshots.take(files, source)
    (source / "hop").unlink()
    (source / "hop").symlink_to("..")
    with pytest.raises(SnapshotError, match="pkg/link"):
        snapshots.take(files, source)


def test_ignored_link_may_lead_anywhere(files: Files, source: Path) -> None:
    write(source, {".gitignore": "/venv\n"})
    (source / "venv").symlink_to("/usr")
    assert "venv" not in names(files, snapshots.take(files, source))


def test_absolute_link_inside_leads_to_the_copy(files: Files, source: Path, tmp_path: Path) -> None:
    (source / "pkg/abs").symlink_to(source / "train.py")
    snapshots.restore(files, snapshots.take(files, source).id, tmp_path / "copy")
    assert (tmp_path / "copy/pkg/abs").resolve() == tmp_path / "copy/train.py"


def test_ignore_file_that_is_a_link_outside_is_not_read(files: Files, source: Path, tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("*\n")
    (source / ".gitignore").symlink_to("../rules")
    with pytest.raises(SnapshotError, match=r"\.gitignore is a link that leads out"):
        snapshots.take(files, source)


def test_pipes_and_sockets_stay_behind_with_a_warning(
    files: Files, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(source / "pkg/pipe")
    with caplog.at_level(logging.WARNING):
        assert "pkg/pipe" not in names(files, snapshots.take(files, source))
        snapshots.take(files, source)
    assert [record.getMessage() for record in caplog.records] == [
        f"{source}/pkg/pipe stays behind: it is no file, folder or link"
    ] * 2
    (source / "pkg/pipe").unlink()
    (source / "pkg/pipe").write_text("a file now")
    assert "pkg/pipe" in names(files, snapshots.take(files, source))


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


def test_too_many_files_name_the_folders_and_the_lines(
    files: Files, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_TRAIN_SNAPSHOT_MAX_FILES", "30")
    write(source, {f"data/raw[1]/{n}.csv": "" for n in range(40)} | {f"docs/{n}": "" for n in range(9)})
    with pytest.raises(SnapshotError) as caught:
        snapshots.take(files, source)
    first, *lines = str(caught.value).splitlines()
    assert "holds 53 files" in first
    assert "more than the 30 files that may travel ([train] snapshot_max_files)" in first
    assert first.endswith(f"{source}/.amlignore:")
    assert [line.split("  ")[1] for line in lines] == [
        "/data/raw\\[1]/",
        "/docs/",
        "/pkg/",
        "/train.py",
        "/ünï/#1.txt",
    ]
    (source / ".amlignore").write_text(lines[0].split("  ")[1] + "\n")
    assert snapshots.take(files, source).files == 14


def test_too_many_bytes_name_the_largest_and_nothing_is_read(
    files: Files, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_TRAIN_SNAPSHOT_MAX_BYTES", str(10 << 20))
    write(source, {".gitignore": "*.log\n", "big/model.bin": ""})
    os.truncate(source / "big/model.bin", 3 << 30)
    with pytest.raises(
        SnapshotError,
        match=r"(?s)3\.0 GiB, more than the 10\.0 MiB .*\.gitignore:\n  /big/model\.bin +1 file, 3\.0 GiB",
    ):
        snapshots.take(files, source)
    assert not (tmp_path / "a store").exists()


@pytest.mark.parametrize(
    "name", ["a*b", "a?[x]", "back\\slash", "end ", "#hash", "!bang", "new\nline", "in ner /x"]
)
@pytest.mark.parametrize("kind", [".amlignore", ".gitignore", ".dockerignore"])
def test_line_that_messages_advise_leaves_exactly_that_behind(
    files: Files, source: Path, name: str, kind: str
) -> None:
    write(source, {name: "", "also/" + name: "", kind: "*.log\n"})
    from airflow_train.store import ignore

    assert ignore.ignore_file(str(source)) == kind
    (source / kind).write_text(f"*.log\n{ignore.line_for(name)}\n")
    found = names(files, snapshots.take(files, source))
    assert name not in found
    assert f"also/{name}" in found


def test_entry_script_must_travel(files: Files, source: Path) -> None:
    assert snapshots.take(files, source, entry_script="./pkg/deep/a b.py").files == 4
    (source / "pkg/link").symlink_to("deep")
    snapshots.take(files, source, entry_script="pkg/link/a b.py")
    write(source, {"pkg/.gitignore": "", ".gitignore": "# rules\ndeep/\n"})
    for script in ("pkg/deep/a b.py", "pkg/link/a b.py"):
        with pytest.raises(SnapshotError, match=r"ignored by \.gitignore:2 \(deep/\)"):
            snapshots.take(files, source, entry_script=script)
        with pytest.raises(SnapshotError, match=r"ignored by \.gitignore:2 \(deep/\)"):
            snapshots.measure(source, entry_script=script)
    with pytest.raises(SnapshotError, match=r"There is no file tran\.py"):
        snapshots.take(files, source, entry_script="tran.py")


def test_measure_counts_what_take_would_and_writes_nothing(
    files: Files, source: Path, tmp_path: Path
) -> None:
    found = snapshots.measure(source, entry_script="train.py")
    assert list(tmp_path.iterdir()) == [source]
    taken = snapshots.take(files, source)
    assert found == {"files": taken.files, "bytes": taken.bytes}


def test_missing_source_is_one_sentence(files: Files, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="nowhere is no folder; correct source_directory"):
        snapshots.take(files, tmp_path / "nowhere")


def test_unreadable_file_is_one_sentence(files: Files, source: Path, tmp_path: Path) -> None:
    (source / "pkg/deep").chmod(0o700)
    (source / "pkg/deep/a b.py").chmod(0)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o755)
    program = (
        "import os, sys; from pathlib import Path; from airflow_train.store import snapshots\n"
        "if os.geteuid() == 0: os.seteuid(65534)\n"
        "snapshots.measure(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(source)], capture_output=True, text=True, check=False
    )
    if os.geteuid() == 0:
        expected = (
            f"{source}/pkg/deep/ can't be read (Permission denied); grant it or add the line /pkg/deep/"
        )
        assert expected in done.stderr
    else:
        with pytest.raises(SnapshotError, match=r"a b\.py can't be read"):
            snapshots.take(files, source)


def test_file_that_keeps_changing_is_tried_twice_then_named(
    files: Files, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = contents._facts
    looks: list[int] = []

    def busy(descriptor: int) -> tuple[int, int, int, int, int]:
        looks.append(descriptor)
        if len(looks) < limit:
            with (source / "train.py").open("a") as stream:
                stream.write("x")
        return real(descriptor)

    monkeypatch.setattr(contents, "_facts", busy)
    write(source, {".gitignore": "/pkg\n/ünï\n.gitignore\n"})
    limit = 3
    assert snapshots.take(files, source).files == 1
    looks.clear()
    limit = 100
    with pytest.raises(
        SnapshotError, match=r"train\.py changes while it is read; wait .* line /train\.py to"
    ):
        snapshots.take(files, source)
    assert len(looks) == 4


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
