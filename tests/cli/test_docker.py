"""The commands on the docker target: run, dry-run, doctor, cleanup."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from airflow_train import config
from tests.targets.lab import DOCKER as TARGET
from tests.targets.lab import IMAGE, Lab, docker, docker_objects, remove_docker_objects, until

pytestmark = pytest.mark.docker


@pytest.fixture(autouse=True)
def docker_target(docker_engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target docker has an image."""
    file = tmp_path / "targets.yaml"
    file.write_text(f"docker: {{type: docker, image: {IMAGE}}}\n", encoding="utf-8")
    monkeypatch.setenv("AIRFLOW_TRAIN_TARGETS", str(file))


def test_a_run_is_shown_until_its_end(cli: Callable[..., Any], define: Callable[..., str]) -> None:
    answer = cli("run", define("prints_and_logs"), "--target", "docker", "--json")

    assert (answer.code, answer.data["status"]) == (0, "Completed")
    assert docker_objects(answer.data["run_id"]) == []


def test_a_dry_run_shows_container_volume_and_contents_and_makes_nothing(
    cli: Callable[..., Any], define: Callable[..., str]
) -> None:
    plan = cli("dry-run", define("prints_and_logs"), "--target", "docker", "--json").data["plan"]

    assert (plan["container"], plan["volume"]) == ("airflow-train-RUN_ID-node0", "airflow-train-RUN_ID")
    assert plan["configuration"]["Image"] == IMAGE
    assert plan["configuration"]["HostConfig"]["CapDrop"] == ["ALL"]
    assert any(one.endswith("launch.json") for one in plan["contents"])
    assert docker_objects("RUN_ID") == []


def test_a_dry_run_shows_what_an_image_is_built_of(
    cli: Callable[..., Any], define: Callable[..., str]
) -> None:
    definition = define("prints_and_logs", pip_packages=["six==1.16.0"])
    plan = cli("dry-run", definition, "--target", "docker", "--json").data["plan"]

    assert plan["configuration"]["Image"] == plan["environment"]["image"]
    assert plan["environment"]["recipe"] == {"base_image": IMAGE, "pip": ["six==1.16.0"]}


def test_an_image_is_built_of_a_folder_once_for_all_that_name_its_environment(
    cli: Callable[..., Any], define: Callable[..., str], tmp_path: Path
) -> None:
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY . /there\n")
    (folder / ".dockerignore").write_text("left\n")
    own = uuid4().hex  # an image that nobody has built
    for name in ("left", own):
        (folder / name).touch()
    (tmp_path / "environment.yaml").write_text("name: ours\ndocker: {build_context: {location: docker}}\n")
    (tmp_path / "list.py").write_text("import os\nprint(sorted(os.listdir('/there')))\n")
    assert cli("environments", "register", str(tmp_path / "environment.yaml")).code == 0
    shutil.rmtree(folder)
    file = define(
        "list", source_directory=str(tmp_path), entry_script="list.py", environment_definition="ours"
    )
    key = cli("dry-run", file, "--target", "docker", "--json").data["environment"]["key"]
    try:
        first, second = (cli("run", file, "--target", "docker") for _ in range(2))
    finally:
        docker("image", "rm", "-f", f"airflow-train/environment:{key}", check=False)

    assert first.code == second.code == 0
    assert own in first.out
    assert "'left'" not in first.out
    assert "[build] Step 2/" in first.out
    assert "[build]" not in second.out


def test_doctor_asks_the_engine(cli: Callable[..., Any]) -> None:
    found = {one["what"]: one for one in cli("doctor", "--json").data}

    assert found["target docker: engine"]["found"].startswith("Docker ")
    assert found["target docker: image"]["state"] == "ok"


def test_what_a_target_cannot_honour_is_refused_before_anything_is_made(
    cli: Callable[..., Any], define: Callable[..., str]
) -> None:
    path = define("prints_and_logs", use_docker=False)
    answer = cli("run", path, "--target", "docker")

    assert answer.code == 2
    assert f"{path}:4: use_docker is false, but the docker target runs containers" in answer.err


def test_a_file_that_names_no_image_is_named(
    cli: Callable[..., Any], define: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "targets.yaml").write_text("docker: {type: docker}\n", encoding="utf-8")
    path = define("prints_and_logs")
    answer = cli("run", path, "--target", "docker")

    assert answer.code == 2
    assert f"{path}:1: no image is named; give custom_docker_image" in answer.err


def test_cleanup_removes_what_nobody_owns_and_nothing_else(cli: Callable[..., Any], tmp_path: Path) -> None:
    lab = Lab(config.get("store"), tmp_path, TARGET)
    gone, goes_on = (lab.start("mark('ready'); signal.pause()") for _ in range(2))
    try:
        for run_id in (gone, goes_on):
            lab.marked(run_id, "ready")
        lab.store.files.delete_tree(f"runs/{gone}")
        young = cli("cleanup", "--json")
        shown = cli("cleanup", "--dry-run", "--older-than", "0s", "--json")
        left = docker_objects(gone)
        removed = cli("cleanup", "--older-than", "0s", "--json")

        assert young.data == []
        assert sorted(one["what"] for one in shown.data) == sorted(left)
        assert {one["why"] for one in shown.data} == {"its run isn't in the store"}
        assert [one["what"] for one in removed.data] == [one["what"] for one in shown.data]
        assert docker_objects(gone) == []
        assert len(docker_objects(goes_on)) == 2
    finally:
        for run_id in (gone, goes_on):
            remove_docker_objects(run_id)
    until(lambda: docker_objects(goes_on) == [])


def test_cleanup_keeps_off_the_runs_of_another_machines_store_at_the_same_path(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    """Two machines, one engine, and both have their store where it usually is."""
    lab = Lab(config.get("store"), tmp_path, TARGET)
    run_id = lab.start("mark('ready'); signal.pause()")
    try:
        lab.marked(run_id, "ready")
        path = Path(lab.store.uri)
        path.rename(path.with_name("the other machine's"))
        lab.store.prepare()

        assert cli("cleanup", "--older-than", "0s", "--json").data == []
        assert len(docker_objects(run_id)) == 2
    finally:
        remove_docker_objects(run_id)
