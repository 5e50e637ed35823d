"""Files of a run: listed by name, copied whole, never replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_train.exceptions import AlreadyExists, FileNotInRun
from airflow_train.store import artifacts, layout
from airflow_train.store.files import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    store = Files.open(tmp_path / "store")
    for name in ("outputs/model.pkl", "outputs/plots/ü 1.png", "user_logs/std_log_process_0.txt", "outputs2"):
        store.create(f"{layout.files('run-a')}/{name}", name.encode())
    return store


def test_a_prefix_ends_at_a_folder(files: Files) -> None:
    assert [name for name, _ in artifacts.names(files, "run-a", "outputs/")] == [
        "outputs/model.pkl",
        "outputs/plots/ü 1.png",
    ]


def test_a_download_keeps_the_prefix_in_the_path(files: Files, tmp_path: Path) -> None:
    paths = artifacts.download(files, "run-a", "outputs/plots", tmp_path / "to")
    assert paths == [tmp_path / "to" / "outputs" / "plots" / "ü 1.png"]
    assert paths[0].read_text() == "outputs/plots/ü 1.png"


def test_the_same_download_again_is_fine_and_other_content_is_not_replaced(
    files: Files, tmp_path: Path
) -> None:
    (path,) = artifacts.download(files, "run-a", "outputs2", tmp_path)
    artifacts.download(files, "run-a", "outputs2", tmp_path)
    path.write_text("mine")
    with pytest.raises(AlreadyExists, match="other content"):
        artifacts.download(files, "run-a", "outputs2", tmp_path)
    assert path.read_text() == "mine"
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_a_wrong_name_answers_with_those_that_are_there_nearest_first(files: Files, tmp_path: Path) -> None:
    with pytest.raises(FileNotInRun, match=r"no file 'outputs/model.pk'; it has outputs/model.pkl, "):
        artifacts.download_file(files, "run-a", "outputs/model.pk", tmp_path / "x")
    with pytest.raises(FileNotInRun, match="no files at all"):
        artifacts.download(files, "run-b", "outputs", tmp_path)


def test_a_name_is_uploaded_once(files: Files, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    artifacts.upload(files, "run-a", "extra/a", tmp_path / "a")
    with pytest.raises(AlreadyExists, match="extra/a"):
        artifacts.upload(files, "run-a", "extra/a", tmp_path / "a")
