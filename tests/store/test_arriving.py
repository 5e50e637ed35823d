"""Many files on their way into a folder: all of them with their names at the end, whoever else is at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_train.store import arriving
from airflow_train.store.files import Files
from airflow_train.store.local import TEMPORARY


@pytest.fixture(params=["local", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """A store of each kind."""
    return Files.open(tmp_path if request.param == "local" else f"memory://{tmp_path.name}")


def content(files: Files) -> dict[str, bytes]:
    """Everything in the store."""
    return {name: files.read(name) for name, _, _ in files.walk("")}


def arrive(files: Files, **names: str) -> None:
    """Let files `a__b="…"` arrive as `a/b` in the folder `run`."""
    with arriving.at(files, "run") as door:
        for name, text in names.items():
            door.file(name.replace("__", "/"), len(text), [text.encode()])


def test_files_have_their_names_when_all_have_come(files: Files) -> None:
    with arriving.at(files, "run") as door:
        door.folder("out/empty")
        door.file("out/deep/a", 2, [b"a", b"a"])
        door.file("large", arriving.LARGE, [b"x" * arriving.LARGE])
        door.again("out/deep/a", "out/b")

    large = {"run/large": b"x" * arriving.LARGE}
    assert content(files) == {"run/out/deep/a": b"aa", "run/out/b": b"aa", **large}
    if files.local_root is not None:
        assert (files.local_root / "run/out/empty").is_dir()


def test_what_stands_is_kept_and_the_rest_comes_beside_it(files: Files) -> None:
    files.create("run/out/deep/a", b"first")
    arrive(files, out__deep__a="second", out__deep__b="b", out__c="c")

    assert content(files) == {"run/out/deep/a": b"first", "run/out/deep/b": b"b", "run/out/c": b"c"}


def test_the_same_files_may_come_again(files: Files) -> None:
    for _ in range(2):
        arrive(files, out__a="a", b="b")

    assert content(files) == {"run/out/a": b"a", "run/b": b"b"}


def test_nothing_of_small_files_is_seen_before_the_end(tmp_path: Path) -> None:
    files = Files.open(tmp_path)
    with arriving.at(files, "run") as door:
        door.file("out/a", 1, [b"a"])
        assert content(files) == {}
        assert files.list("run") == []

    assert content(files) == {"run/out/a": b"a"}


def test_nothing_is_left_when_it_fails_on_the_way(tmp_path: Path) -> None:
    with pytest.raises(arriving.StoreError):
        arrive(Files.open(tmp_path), out__a="a", **{"../b": "b"})

    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("more", [[], ["out/b"], ["out/deep/b"], ["c"]])
def test_who_is_swept_away_meanwhile_is_told(tmp_path: Path, more: list[str]) -> None:
    """Half of it may never be taken for all."""
    files = Files.open(tmp_path)

    def swept() -> None:
        with arriving.at(files, "run") as door:
            door.file("out/a", 1, [b"a"])
            files.remove_half_written("run")
            for name in more:
                door.file(name, 1, [b"b"])

    with pytest.raises(arriving.Swept):
        swept()

    assert content(files) == {}
    assert not list(tmp_path.rglob(f"{TEMPORARY}*"))


def test_names_that_lead_elsewhere_are_refused(files: Files) -> None:
    with pytest.raises(arriving.StoreError, match="no name in a store"):
        arrive(files, **{"../a": "a"})
