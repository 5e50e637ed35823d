"""Environments as a whole: one that is used stays, whoever removes, and nobody is left with half of one."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from airflow_train.environments import shelf
from airflow_train.environments.log import BuildLog
from airflow_train.environments.recipe import Recipe
from airflow_train.environments.virtualenv import Virtualenv
from airflow_train.runtime import building
from airflow_train.store.files import Files
from tests.wheels import Index


@pytest.fixture
def built(packages: Index, tmp_path: Path) -> Virtualenv:
    """An environment with `probe`, of a Python that can go away."""
    python = tmp_path / "python"
    packages_folder = Path(os.environ["AIRFLOW_TRAIN_ENVIRONMENTS"])
    python.symlink_to(shutil.which("python3") or "")
    made = Virtualenv(packages_folder, Recipe(pip=("probe",)), str(python))
    build(made)
    return made


def build(one: Virtualenv) -> None:
    one.build(BuildLog(Files.open(str(one.folder.parent / "store")), "r"), lambda _: None, "r")


def test_what_a_run_holds_is_not_removed(built: Virtualenv) -> None:
    held, go = threading.Event(), threading.Event()

    def use() -> None:
        built.lock.parent.mkdir()
        lock = os.open(built.lock, os.O_RDWR | os.O_CREAT)
        building.fcntl.flock(lock, building.fcntl.LOCK_SH)
        held.set()
        go.wait(10)
        os.close(lock)

    user = threading.Thread(target=use)
    user.start()
    held.wait(10)
    [one] = shelf.shelved(built.folder)
    assert (one.in_use, shelf.forget(built.folder, built.key), built.find()) == (True, False, built.path)
    go.set()
    user.join()
    assert shelf.forget(built.folder, built.key)
    assert built.find() is None
    assert list(shelf.shelved(built.folder)) == []


def test_who_waits_while_it_is_removed_holds_the_lock_of_the_next_one(built: Virtualenv) -> None:
    with shelf._alone(built.lock) as free:
        assert free
        ticks: list[str] = []

        def tick(words: str) -> None:
            ticks.append(words)
            built.lock.unlink(missing_ok=True)

        building._hold(str(built.lock), tick)
    assert ticks
    assert [one.in_use for one in shelf.shelved(built.folder)] == [True]


def test_an_environment_whose_python_is_gone_is_built_anew(built: Virtualenv, tmp_path: Path) -> None:
    before = built.path.resolve()
    (before / "bin" / "python").unlink()
    (before / "bin" / "python").symlink_to(tmp_path / "gone")
    assert built.find() is None
    build(built)

    assert built.find() == built.path
    assert not before.exists()


def test_what_else_lies_in_the_folder_is_left_alone(built: Virtualenv) -> None:
    for name in ("locks/data", "builders/data", "data"):
        (built.folder / name).parent.mkdir(exist_ok=True)
        (built.folder / name).write_text("mine")

    assert [one.key for one in shelf.shelved(built.folder)] == [built.key]
