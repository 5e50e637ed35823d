"""The last words of a container: a small run as a whole, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_train.runtime import parcel
from airflow_train.runtime.parcel import MOST
from airflow_train.targets.docker import parcel as reading

FILES = {"node_0/report.json": b"{}", "files/outputs/späße\n": b"\0\xff\n" * 1000, "files/empty": b""}


def sent(folder: Path) -> bytes | None:
    """What is said of a folder; None when nothing is."""
    out, into = os.pipe()
    os.set_blocking(into, False)
    said = parcel.send(str(folder), into)
    os.close(into)
    with os.fdopen(out, "rb") as words:
        found = words.read()
    assert said == bool(found)
    return found or None


def fill(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "files/outputs/nothing").mkdir()
    return folder


def test_what_is_said_is_what_was_there(tmp_path: Path) -> None:
    said = sent(fill(tmp_path))

    folders = dict.fromkeys(("node_0/", "files/", "files/outputs/", "files/outputs/nothing/"), b"")
    assert reading.read(b"some words" + (said or b"")) == {**FILES, **folders}


def test_the_last_of_several_counts(tmp_path: Path) -> None:
    first = sent(fill(tmp_path)) or b""
    (tmp_path / "node_0/report.json").write_bytes(b"second")

    assert (reading.read(first + (sent(tmp_path) or b"")) or {})["node_0/report.json"] == b"second"


@pytest.mark.parametrize("cut", [1, 4, 100, 2000])
def test_half_of_it_is_nothing(tmp_path: Path, cut: int) -> None:
    said = sent(fill(tmp_path)) or b""

    assert reading.read(said[:-cut].rstrip(b"=\n")[: len(said) - cut - 4]) is None
    assert reading.read(said[:cut]) is None


def test_a_changed_letter_is_noticed(tmp_path: Path) -> None:
    said = bytearray(sent(fill(tmp_path)) or b"")
    said[-300] = ord("A") if said[-300] != ord("A") else ord("B")

    assert reading.read(bytes(said)) is None


def test_nothing_is_said_of_what_is_large_or_no_plain_file(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * MOST)
    assert sent(tmp_path) is None
    (tmp_path / "large").unlink()
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert sent(tmp_path) is None
