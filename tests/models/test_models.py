"""The registry over a real store: versions, idempotence under kill, files with digests, tags and lineage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_train.exceptions import ModelError, ModelNotFound, RunNotFound
from airflow_train.models.model import Model
from airflow_train.models.registration import register_from_run
from airflow_train.store import layout
from airflow_train.store.files import Files

LINEAGE = {"experiment": "digits", "snapshot_id": "abc", "git_commit": "123"}


@pytest.fixture
def files(store_uri: str) -> Files:
    """A store with two runs that have outputs."""
    opened = Files.open(store_uri)
    for run_id in ("run_1", "run_2"):
        opened.create_json(layout.spec(run_id), {})
        for name in ("outputs/model.pkl", "outputs/sub/ä b.txt", "logs/train.log", "digits/weights"):
            opened.create(f"{layout.files(run_id)}/{name}", f"{run_id} {name}".encode())
    return opened


@pytest.fixture
def local_model(tmp_path: Path) -> Path:
    (tmp_path / "saved" / "sub").mkdir(parents=True)
    (tmp_path / "saved" / "a.bin").write_bytes(b"a" * 1000)
    (tmp_path / "saved" / "sub" / "b.bin").write_bytes(b"")
    return tmp_path / "saved"


def test_a_runs_file_becomes_a_version_with_lineage(files: Files, tmp_path: Path) -> None:
    model = register_from_run(
        files, "run_1", "digits", "outputs/model.pkl", tags={"stage": 1}, properties={"p": "q"}, description="d",
        model_framework=Model.Framework.SCIKITLEARN, model_framework_version="1.7", lineage=LINEAGE,
    )  # fmt: skip
    assert (model.id, model.name, model.version) == ("digits:1", "digits", 1)
    assert (model.tags, model.properties, model.description) == ({"stage": "1"}, {"p": "q"}, "d")
    assert (model.framework, model.framework_version) == ("ScikitLearn", "1.7")
    assert (model.run_id, model.experiment_name, model.snapshot_id) == ("run_1", "digits", "abc")
    assert (model.git_commit, model.url) == ("123", "airflow-train://models/digits/1")
    assert Path(model.download(tmp_path / "here")) == tmp_path / "here" / "model.pkl"
    assert (tmp_path / "here" / "model.pkl").read_bytes() == b"run_1 outputs/model.pkl"


def test_a_folder_keeps_its_name_and_tree(files: Files, tmp_path: Path) -> None:
    model = register_from_run(files, "run_1", "digits", "./outputs/")
    assert set(model.files) == {"outputs/model.pkl", "outputs/sub/ä b.txt"}
    assert Path(model.download(tmp_path)) == tmp_path / "outputs"
    assert (tmp_path / "outputs" / "sub" / "ä b.txt").read_text() == "run_1 outputs/sub/ä b.txt"


def test_without_a_path_the_models_name_is_the_path(files: Files) -> None:
    assert set(register_from_run(files, "run_1", "digits").files) == {"digits/weights"}
    with pytest.raises(
        ModelError, match=r"model_path isn't given.*'weather'.*outputs/model\.pkl.*as model_path"
    ):
        register_from_run(files, "run_1", "weather")


def test_a_wrong_path_answers_with_what_is_there_nearest_first(files: Files) -> None:
    with pytest.raises(
        ModelError, match=r"no file or folder 'outputs/modle\.pkl'; it has outputs/model\.pkl, "
    ):
        register_from_run(files, "run_1", "digits", "outputs/modle.pkl")
    assert Model.list() == []


def test_many_files_are_not_all_named(files: Files) -> None:
    for number in range(50):
        files.create(f"{layout.files('run_1')}/many/{number}", b"")
    with pytest.raises(ModelError, match=r"and 34 more") as caught:
        register_from_run(files, "run_1", "digits", "nothing")
    assert len(str(caught.value)) < 1000


def test_an_unknown_run_is_named(files: Files) -> None:
    with pytest.raises(RunNotFound, match="no run run_9"):
        register_from_run(files, "run_9", "digits", "outputs")


def test_the_same_path_of_a_run_is_registered_once(files: Files) -> None:
    first = register_from_run(files, "run_1", "digits", "outputs")
    assert register_from_run(files, "run_1", "digits", "outputs/") == first
    assert register_from_run(files, "run_2", "digits", "outputs").version == 2
    assert register_from_run(files, "run_1", "digits", "outputs/model.pkl").version == 3
    assert register_from_run(files, "run_1", "other", "outputs").version == 1


def test_a_deleted_version_is_gone_and_its_number_stays_taken(files: Files) -> None:
    for run_id in ("run_1", "run_2"):
        register_from_run(files, run_id, "digits", "outputs")
    newest = Model("digits")
    newest.delete()
    assert Model("digits").version == 1
    assert [model.version for model in Model.list("digits")] == [1]
    assert list(files.walk(f"{layout.model_version('digits', 2)}/files")) == []
    with pytest.raises(ModelNotFound, match="no version 2; its newest is 1"):
        newest.delete()
    assert register_from_run(files, "run_2", "digits", "outputs").version == 3
    assert register_from_run(files, "run_2", "digits", "outputs").version == 3


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "ä", "a" * 256, None, "a\n"])
def test_names_follow_the_rule_of_azure(store_uri: str, local_model: Path, name: Any) -> None:
    with pytest.raises(ModelError, match="must be 1 to 255 letters"):
        Model.register(local_model, name)


def test_a_framework_version_needs_its_framework(store_uri: str, local_model: Path) -> None:
    with pytest.raises(ModelError, match=r"'1\.7' without a model_framework"):
        Model.register(local_model, "digits", model_framework_version="1.7")


def test_tags_are_a_dict(store_uri: str, local_model: Path) -> None:
    with pytest.raises(ModelError, match="must be a dict"):
        Model.register(local_model, "digits", tags="stage")  # type: ignore[arg-type]


def test_a_local_folder_is_registered_and_comes_back(
    store_uri: str, local_model: Path, tmp_path: Path
) -> None:
    model = Model.register(local_model, "digits")
    assert model.run_id is None
    assert model.files == {"saved/a.bin": 1000, "saved/sub/b.bin": 0}
    back = Path(model.download(tmp_path / "back"))
    assert (back / "a.bin").read_bytes() == b"a" * 1000
    assert (back / "sub" / "b.bin").read_bytes() == b""
    assert Model.register(local_model / "a.bin", "digits").files == {"a.bin": 1000}


def test_what_is_not_there_cannot_be_registered(store_uri: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file or folder"):
        Model.register(tmp_path / "nothing", "digits")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="holds no files"):
        Model.register(tmp_path / "empty", "digits")
    (tmp_path / "empty" / "link").symlink_to(tmp_path)
    with pytest.raises(ModelError, match="link to a folder"):
        Model.register(tmp_path / "empty", "digits")


def test_a_download_overwrites_only_when_told(files: Files, tmp_path: Path) -> None:
    model = register_from_run(files, "run_1", "digits", "outputs/model.pkl")
    model.download(tmp_path)
    with pytest.raises(ModelError, match="exist_ok=True"):
        model.download(tmp_path)
    (tmp_path / "model.pkl").write_text("changed")
    model.download(tmp_path, exist_ok=True)
    assert (tmp_path / "model.pkl").read_text() == "run_1 outputs/model.pkl"


@pytest.mark.parametrize(("damage", "finding"), [("change", "SHA-256 differs"), ("remove", "is missing")])
def test_a_damaged_file_is_found_before_anything_appears(
    files: Files, tmp_path: Path, damage: str, finding: str
) -> None:
    model = register_from_run(files, "run_1", "digits", "outputs")
    assert files.local_root is not None
    stored = files.local_root / layout.model_version("digits", 1) / "files" / "outputs" / "model.pkl"
    if damage == "change":
        stored.write_bytes(stored.read_bytes()[:-1] + b"X")
    else:
        stored.unlink()
    with pytest.raises(ModelError, match=rf"outputs/model\.pkl of model digits:1 .*{finding}"):
        model.download(tmp_path / "here")
    assert list((tmp_path / "here").iterdir()) == []


def test_tags_and_description_change_and_properties_only_grow(files: Files) -> None:
    model = register_from_run(files, "run_1", "digits", "outputs", tags={"a": "1"}, properties={"p": "1"})
    model.add_tags({"b": 2, "c": 3})
    model.remove_tags(["a"])
    model.remove_tags("c")
    model.add_properties({"q": "2"})
    with pytest.raises(ModelError, match="property 'p' of model digits:1 is '1' and never changes"):
        model.add_properties({"p": "2"})
    model.update(description="new")
    again = Model("digits")
    assert (again.tags, again.properties, again.description) == ({"b": "2"}, {"p": "1", "q": "2"}, "new")
    again.update(tags={"only": "this"})
    assert (Model("digits").tags, Model("digits").description) == ({"only": "this"}, "new")


def test_models_are_found_by_what_they_have(files: Files) -> None:
    first = register_from_run(
        files, "run_1", "digits", "outputs", tags={"stage": "old"}, properties={"p": "1"}
    )
    second = register_from_run(files, "run_2", "digits", "outputs", tags={"stage": "new"})
    other = register_from_run(files, "run_2", "other", "outputs")
    assert Model("digits") == Model(id="digits:2") == Model("digits", version="2") == second
    assert Model("digits", tags={"stage": "old"}) == Model("digits", properties=["p"]) == first
    assert Model("digits", run_id="run_1") == Model(tags=[["stage", "old"]]) == first
    assert set(Model.list()) == {first, second, other}
    assert set(Model.list(latest=True)) == {second, other}
    assert Model.list("digits") == [second, first]
    assert Model.list("digits", tags=["stage"]) == [second, first]
    assert set(Model.list(run_id="run_2")) == {second, other}
    assert Model.list("unknown") == []


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"name": "unknown"}, ModelNotFound, "no model unknown"),
        ({"name": "digits", "version": 7}, ModelNotFound, "no version 7; its newest is 1"),
        ({"name": "digits", "version": "new"}, ModelError, "whole number"),
        ({"id": "digits"}, ModelError, "'name:version'"),
        ({"name": "digits", "tags": {"a": "b"}}, ModelNotFound, "tags {'a': 'b'}"),
        ({}, ModelError, "names no model"),
    ],
)
def test_what_cannot_be_found_is_named(
    files: Files, arguments: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    register_from_run(files, "run_1", "digits", "outputs")
    with pytest.raises(error, match=sentence):
        Model(**arguments)


# Real processes

REGISTER = """
import sys
from airflow_train.models.registration import register_from_run
from airflow_train.store.files import Files
sys.stdin.readline()
print(register_from_run(Files.open(sys.argv[1]), sys.argv[2], "digits", "outputs").version)
"""


def start(files: Files, run_id: str, before: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", before + REGISTER, files.uri, run_id]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(processes: list[subprocess.Popen[str]]) -> list[int]:
    """Let all of them register at once; the versions they print."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return [int(text) for text in said]


def test_twenty_processes_get_versions_1_to_20_each_once(files: Files) -> None:
    for number in range(20):
        files.create_json(layout.spec(f"many_{number}"), {})
        files.create(f"{layout.files(f'many_{number}')}/outputs/model", b"%d" % number)
    versions = go([start(files, f"many_{number}") for number in range(20)])
    assert sorted(versions) == list(range(1, 21))
    assert sorted(model.run_id or "" for model in Model.list("digits")) == sorted(
        f"many_{n}" for n in range(20)
    )


def test_processes_that_register_the_same_agree_on_one_version(files: Files) -> None:
    versions = go([start(files, "run_1") for _ in range(8)])
    assert len(set(versions)) == 1
    assert [model.version for model in Model.list("digits")] == versions[:1]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", ["claim.json", "0001.json", "model.pkl", "model.json"])
def test_a_registration_killed_anywhere_is_finished_by_the_next(files: Files, place: str, when: str) -> None:
    """The process kills itself around the moment in which a file of that name appears."""
    killer = f"""
import os, signal
link = os.link
def die(source, target, *arguments, **options):
    if target.endswith({place!r}) and {when == "before"}: os.kill(os.getpid(), signal.SIGKILL)
    link(source, target, *arguments, **options)
    if target.endswith({place!r}): os.kill(os.getpid(), signal.SIGKILL)
os.link = die
"""
    process = start(files, "run_1", before=killer)
    process.communicate("\n", timeout=60)
    assert process.returncode == -signal.SIGKILL
    finished = (place, when) == ("model.json", "after")
    assert [model.version for model in Model.list("digits")] == ([1] if finished else [])
    assert register_from_run(files, "run_1", "digits", "outputs").version == 1
    assert register_from_run(files, "run_2", "digits", "outputs").version == 2
    assert set(Model("digits", version=1).files) == {"outputs/model.pkl", "outputs/sub/ä b.txt"}


def test_a_claim_that_died_is_no_model_and_blocks_nobody(files: Files) -> None:
    files.create_json(
        f"{layout.model_version('digits', 1)}/claim.json", {"key": "somebody", "at": "", "token": ""}
    )
    with pytest.raises(ModelNotFound, match="no model digits"):
        Model("digits")
    assert register_from_run(files, "run_1", "digits", "outputs").version == 2
    assert [model.version for model in Model.list()] == [2]


def test_a_store_in_memory_holds_models_too(tmp_path: Path) -> None:
    files = Files.open(f"memory://models-{os.getpid()}")
    files.create_json(layout.spec("run_1"), {})
    files.create(f"{layout.files('run_1')}/outputs/model", b"content")
    model = register_from_run(files, "run_1", "digits", "outputs")
    assert register_from_run(files, "run_1", "digits", "outputs") == model
    assert Path(model.download(tmp_path), "model").read_bytes() == b"content"
