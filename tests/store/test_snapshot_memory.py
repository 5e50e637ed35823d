"""What the last snapshot saw makes the next one fast and never wrong."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from airflow_train.exceptions import SnapshotError
from airflow_train.store import contents, layout, snapshots
from airflow_train.store.files import Files
from tests.store.trees import FILES, age, names, tree, write


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


def _edit(choose: random.Random, source: Path) -> None:
    path = (
        source
        / choose.choice(["a", "b", "a/b", "a/c", "b/c", "a/b/c"])
        / choose.choice(["x.py", "y", "z.txt", "d"])
    )
    for parent in reversed(path.relative_to(source).parents):
        if (source / parent).is_symlink() or (source / parent).is_file():
            (source / parent).unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    kind = choose.randrange(8)
    if kind < 3:
        path.unlink(missing_ok=True)
        path.write_text("1" * choose.randrange(3))
        path.chmod(choose.choice([0o644, 0o755]))
    elif kind == 3:
        path.unlink(missing_ok=True)
    elif kind == 4:
        path.unlink(missing_ok=True)
        path.symlink_to(choose.choice(["x.py", "y", ".", "nowhere"]))
    elif kind == 5:
        path.unlink(missing_ok=True)
        path.mkdir()
    else:
        lines = choose.sample(
            ["*.py", "!x.py", "d/", "/y", "b", "!b/", "*", "c/z.txt", "!c"], choose.randrange(4)
        )
        place = choose.choice([source, path.parent])
        name = choose.choice([".gitignore", ".gitignore", ".dockerignore", ".amlignore"])
        (place / name).write_text("\n".join(lines))
        if choose.random() < 0.5:
            (place / name).unlink()


@pytest.mark.parametrize("seed", range(6))
def test_what_is_remembered_never_changes_the_answer(
    files: Files, source: Path, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = random.Random(seed)
    (source / ".gitignore").write_text("*.txt\n")
    for step in range(40):
        for _ in range(choose.randrange(3)):
            _edit(choose, source)
        if step % 4 == 0:
            age(source)
        remembered = snapshots.take(files, source)
        with monkeypatch.context() as fresh:
            fresh.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache {step}"))
            anew = snapshots.take(Files.open(tmp_path / "other store"), source)
        assert (remembered.id, remembered.files, remembered.bytes) == (anew.id, anew.files, anew.bytes)


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
