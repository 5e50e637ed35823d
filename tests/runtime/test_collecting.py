"""Outputs and logs come home whole, and nothing that isn't the run's own is touched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from airflow_train.runtime import collecting


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work" / "outputs").mkdir(parents=True)
    (tmp_path / "files").mkdir()
    return tmp_path / "work"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "files"


def collected(work: Path, files: Path) -> dict[str, Any]:
    found = collecting.collect(str(work), str(files), lambda _: None)
    assert found.pop("in_time")
    return found


def contents(folder: Path) -> dict[str, str]:
    return {one.relative_to(folder).as_posix(): one.read_text() for one in folder.rglob("*") if one.is_file()}


def test_collecting_can_be_taken_up_anywhere(work: Path, files: Path) -> None:
    """Killed between the link and the removal of what was linked: nothing doubles, nothing is lost."""
    (work / "outputs" / "sub").mkdir()
    (work / "outputs" / "sub" / "a").write_text("1")
    (work / "outputs" / "c").symlink_to("sub/a")
    (files / "outputs" / "sub").mkdir(parents=True)
    os.link(work / "outputs" / "sub" / "a", files / "outputs" / "sub" / "a")
    (files / "outputs" / "c").write_text("1")

    assert collected(work, files) == {"outputs": 2, "conflicts": [], "left": [], "problems": []}
    assert collected(work, files)["outputs"] == 0
    assert contents(files) == {"outputs/sub/a": "1", "outputs/c": "1"}


def test_a_copy_never_touches_a_neighbour(work: Path, files: Path) -> None:
    (work / "outputs" / "model").write_text("weights")
    (work / "outputs" / "best").symlink_to("model")
    (work / "outputs" / "best.tmp").write_text("the script's own")
    os.mkfifo(work / "outputs" / "pipe")

    assert collected(work, files)["conflicts"] == []
    assert contents(files / "outputs") == {
        "model": "weights",
        "best": "weights",
        "best.tmp": "the script's own",
    }


def test_conflicts_count_up_until_a_name_is_free(work: Path, files: Path) -> None:
    (work / "outputs" / "a").write_text("0")
    (files / "outputs").mkdir()
    (files / "outputs" / "a").write_text("1")
    (files / "outputs" / "a.conflict-1").write_text("2")

    assert collected(work, files)["conflicts"] == ["outputs/a.conflict-2"]
    assert (files / "outputs" / "a.conflict-2").read_text() == "0"


def test_an_uploaded_file_where_a_folder_is_needed_loses_nothing(work: Path, files: Path) -> None:
    (work / "outputs" / "a").mkdir()
    (work / "outputs" / "a" / "b").write_text("b")
    (work / "outputs" / "c").write_text("c")
    (files / "outputs").mkdir()
    (files / "outputs" / "a").write_text("uploaded")

    assert collected(work, files)["problems"] == []
    assert contents(files) == {"outputs/a": "uploaded", "outputs/c": "c", "outputs.conflict-1/a/b": "b"}


def test_outputs_that_link_elsewhere_are_copied_and_stay(tmp_path: Path, work: Path, files: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "old").write_text("precious")
    (work / "outputs").rmdir()
    (work / "outputs").symlink_to(mine)

    assert collected(work, files)["outputs"] == 1
    assert contents(files) == {"outputs/old": "precious"}
    assert contents(mine) == {"old": "precious"}
    (files / "outputs" / "old").write_text("changed")
    assert contents(mine) == {"old": "precious"}, "a copy, not a second name"


def test_what_links_in_outputs_show_is_kept_as_files(tmp_path: Path, work: Path, files: Path) -> None:
    (work / "checkpoints" / "deep").mkdir(parents=True)
    (work / "checkpoints" / "deep" / "last").write_text("weights")
    (work / "outputs" / "folder").symlink_to("../checkpoints")
    (work / "outputs" / "absolute").symlink_to(work / "checkpoints" / "deep" / "last")
    (tmp_path / "data").mkdir()
    (work / "outputs" / "elsewhere").symlink_to(tmp_path / "data")
    (work / "outputs" / "gone").symlink_to("nothing")

    found = collected(work, files)
    assert contents(files) == {"outputs/folder/deep/last": "weights", "outputs/absolute": "weights"}
    assert found["left"] == [
        "outputs/elsewhere is a link to a folder outside the working directory",
        "outputs/gone is a link to nothing",
    ]


def test_one_file_that_can_not_be_kept_keeps_no_other_from_it(
    work: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        (work / "outputs" / name).write_text(name)
    place = collecting._place

    def refuses_b(path: str, target: str, cheap: bool) -> None:
        if path.endswith("b"):
            raise OSError(5, "Input/output error")
        place(path, target, cheap)

    monkeypatch.setattr(collecting, "_place", refuses_b)
    assert collected(work, files)["problems"] == ["outputs/b: Input/output error"]
    assert contents(files) == {"outputs/a": "a", "outputs/c": "c"}
    assert contents(work) == {"outputs/b": "b"}


# ---------------------------------------------------------------------- logs


@pytest.fixture
def mirror(work: Path, files: Path) -> collecting.LogMirror:
    (work / "logs").mkdir()
    return collecting.LogMirror(str(work / "logs"), str(files / "logs"))


def test_appended_lines_follow_and_a_replaced_file_starts_again(
    work: Path, files: Path, mirror: collecting.LogMirror
) -> None:
    log = work / "logs" / "a"
    log.write_text("1\n")
    mirror.sync()
    with log.open("a") as file:
        file.write("2\n")
    mirror.sync()
    assert contents(files) == {"logs/a": "1\n2\n"}
    log.write_text("3")
    mirror.sync()
    assert contents(files) == {"logs/a": "3"}


def test_a_successor_goes_on_where_a_dead_supervisor_stopped(
    work: Path, files: Path, mirror: collecting.LogMirror
) -> None:
    (work / "logs" / "a").write_text("one two")
    (files / "logs").mkdir()
    (files / "logs" / "a").write_text("one")
    mirror.sync(whole=True)
    assert contents(files) == {"logs/a": "one two"}


def test_a_log_that_the_script_uploaded_under_that_name_stays(
    work: Path, files: Path, mirror: collecting.LogMirror
) -> None:
    (work / "logs" / "a").write_text("mirrored")
    (files / "logs").mkdir()
    (files / "logs" / "a").write_text("uploaded")
    mirror.sync()
    assert contents(files) == {"logs/a": "uploaded", "logs/a.conflict-1": "mirrored"}


def test_a_log_that_turns_into_a_folder_ends_nothing(
    work: Path, files: Path, mirror: collecting.LogMirror, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "logs" / "a").write_text("1")
    mirror.sync()
    (work / "logs" / "a").unlink()
    (work / "logs" / "a").mkdir()
    (work / "logs" / "a" / "b").write_text("2")
    (work / "logs" / "c").write_text("3")
    mirror.sync()
    mirror.sync()
    assert contents(files) == {"logs/a": "1", "logs/c": "3"}
    assert capsys.readouterr().out.count("is not copied") == 1


def test_one_look_copies_a_bounded_piece(
    work: Path, files: Path, mirror: collecting.LogMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "PIECE", 4)
    (work / "logs" / "a").write_text("0123456789")
    mirror.sync()
    assert contents(files) == {"logs/a": "0123"}
    mirror.sync(whole=True)
    assert contents(files) == {"logs/a": "0123456789"}
