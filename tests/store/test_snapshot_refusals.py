"""What can't travel is refused in a sentence that says how to mend it; nothing outside is ever read."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_train.exceptions import SnapshotError
from airflow_train.store import contents, snapshots
from airflow_train.store.files import Files
from tests.store.trees import age, names, write


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
    assert [line.split("  ")[1] for line in lines] == ["/data/raw\\[1]/"]  # the rest may travel
    (source / ".amlignore").write_text(lines[0].split("  ")[1] + "\n")
    assert snapshots.take(files, source).files == 14


def test_nobody_is_told_to_leave_the_entry_script_or_ignore_files_behind(
    files: Files, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_TRAIN_SNAPSHOT_MAX_BYTES", "1000")
    big = {"pkg/data.bin": 9000, "pkg/deep/a b.py": 20000, ".gitignore": 8000, "pkg/deep/weights": 7000}
    for name, size in {**big, "notes.txt": 100}.items():
        write(source, {name: "#" * size})
    (source / "pkg/link").symlink_to("deep")
    for script in ("pkg/deep/a b.py", "pkg/link/a b.py"):
        with pytest.raises(SnapshotError) as caught:
            snapshots.measure(source, entry_script=script)
        said = [line.split("  ")[1].strip() for line in str(caught.value).splitlines()[1:]]
        assert said == ["/pkg/data.bin", "/pkg/deep/weights"]  # 100 bytes of 44000 aren't worth a line


def test_where_only_the_entry_script_is_too_large_no_line_helps(
    files: Files, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_TRAIN_SNAPSHOT_MAX_BYTES", "1000")
    (source / "train.py").write_text("#" * 100_000)
    with pytest.raises(
        SnapshotError, match=r"raise the limit or move what the script doesn't need elsewhere\.$"
    ):
        snapshots.take(files, source, entry_script="train.py")


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
