"""A run store that the engine's machine sees, too: the node writes there itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from airflow_train.exceptions import StoreError
from airflow_train.lifecycle import cancel
from airflow_train.store import artifacts, layout
from airflow_train.targets.docker import logs, plan
from tests.targets.lab import DOCKER, Lab, docker, until

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]


@pytest.fixture(autouse=True)
def shared(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The laboratory's store is shared; nothing may come through the engine."""

    def never(*_: Any) -> None:
        raise AssertionError("it was pulled through the engine")

    lab.target = {**DOCKER, "options": {**DOCKER["options"], "shared_store": True}}
    monkeypatch.setattr(logs.Puller, "pull", never)


def test_lines_metrics_and_outputs_are_in_the_store_while_the_script_goes_on(lab: Lab) -> None:
    run_id = lab.start(
        """
        from train_run import Run
        open("logs/mine.txt", "w").write("so far")
        Run.get_context().log("loss", 0.5)
        print("said", flush=True)
        open("outputs/weights", "w").write("kept")
        mark("ready")
        signal.pause()
        """
    )
    lab.marked(run_id, "ready")
    until(lambda: lab.lines(run_id) == ["said"])
    until(lambda: lab.look(run_id).record.heartbeat is not None)
    cancel.cancel(lab.store, run_id)

    assert lab.wait(run_id).status == "Canceled"
    assert lab.output(run_id, "outputs/weights") == "kept"
    assert lab.nothing_left(run_id)


def test_everything_belongs_to_whom_the_store_belongs(lab: Lab) -> None:
    lab.marks_folder.chmod(0o777)
    root = lab.store.files.local_root
    assert root is not None
    for path in (root, *root.rglob("*")):
        os.chown(path, 1234, 2345)
    run_id = "owner-test"
    lab.mark_file(run_id).touch()
    lab.mark_file(run_id).chmod(0o666)
    view = lab.run("open('outputs/kept', 'w').write('yes'); print(os.getuid(), os.getgid())", run_id=run_id)

    assert view.status == "Completed", view.record.verdict
    assert lab.lines(run_id) == ["1234 2345"]
    assert os.stat(lab.path(run_id, "files", "outputs", "kept")).st_uid == 1234


def test_a_script_that_fails_and_one_that_is_killed_are_judged_as_ever(lab: Lab) -> None:
    failed = lab.run("raise ValueError('bad weather')").record.verdict or {}
    run_id = lab.start("open('outputs/half', 'w').write('kept'); mark('ready')\nwhile True: time.sleep(0.05)")
    lab.marked(run_id, "ready")
    docker("kill", plan.container_name(run_id))
    killed = lab.wait(run_id).record.verdict or {}

    assert "bad weather" in failed["message"]
    assert killed["reason"] == "infrastructure"
    assert lab.output(run_id, "outputs/half") == "kept"
    assert lab.nothing_left(run_id)


def test_a_container_that_is_removed_leaves_its_outputs(lab: Lab) -> None:
    run_id = lab.start("open('outputs/half', 'w').write('kept'); mark('ready')\nwhile True: time.sleep(0.05)")
    lab.marked(run_id, "ready")
    docker("rm", "-f", plan.container_name(run_id))

    assert "was removed from outside" in (lab.wait(run_id).record.verdict or {})["message"]
    assert lab.output(run_id, "outputs/half") == "kept"
    assert lab.nothing_left(run_id)


def test_secrets_are_in_no_file_of_the_store(lab: Lab) -> None:
    from airflow_train import targets

    spec = lab.spec("print(os.environ['TOKEN'], len(os.environ['TOKEN']))", secrets={"TOKEN": "env:TOKEN"})
    lab.store.create(spec)
    targets.get(spec.target).submit(spec, lab.store, {"TOKEN": "s3cr3t-value"})
    lab.wait(spec.run_id)
    files = [path for path in lab.path(spec.run_id).rglob("*") if path.is_file()]

    assert lab.lines(spec.run_id) == ["*** 12"]
    assert [path for path in files if b"s3cr3t-value" in path.read_bytes()] == []


def test_a_path_that_is_not_the_store_is_told_so(lab: Lab, tmp_path: Path) -> None:
    lab.target = {**DOCKER, "options": {**DOCKER["options"], "shared_store": str(tmp_path / "elsewhere")}}
    found = lab.run("pass").record.verdict or {}

    assert found["reason"] == "could_not_start"
    assert f"no folder {tmp_path}/elsewhere/runs/" in found["message"]
    assert "shared_store" in found["message"]
    assert not (tmp_path / "elsewhere").exists()


def test_links_that_a_script_leaves_in_the_store_lead_nowhere(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")  # the container doesn't see it
    (outside / "key").write_text("2026-11-21T00:00:00.000Z of the machine\n")
    run_id = lab.start(
        f"""
        run, outside = "/airflow-train/run/", {str(outside)!r}
        os.rename(run + "events", run + "kept")
        os.symlink(outside, run + "events")
        os.symlink(outside, run + "files/more")
        os.symlink(outside + "/key", run + "files/user_logs/std_log_process_1.txt")
        os.mkfifo(run + "files/user_logs/std_log_process_2.txt")
        mark("ready")
        signal.pause()
        """
    )
    lab.marked(run_id, "ready")
    files = lab.store.files

    assert lab.lines(run_id) == []
    assert not [name for name, _ in artifacts.names(files, run_id) if "more" in name or "_1" in name]
    assert files.list(f"{layout.files(run_id)}/more") == []
    for name in ("more/key", "user_logs/std_log_process_1.txt"):
        with pytest.raises(FileNotFoundError):
            files.copy_out(f"{layout.files(run_id)}/{name}", outside / "copy")
    with pytest.raises(StoreError, match="a link stands on its way"):
        lab.store.add_event(run_id, "run", "something", "test")

    cancel.cancel(lab.store, run_id)
    assert lab.wait(run_id).status == "Canceled"
    assert lab.nothing_left(run_id)
    assert os.listdir(outside) == ["key"]
