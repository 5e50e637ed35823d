"""What a careless or hostile script leaves in its volume: nothing of it may reach beyond its own run, or stop it."""

from __future__ import annotations

import pytest

from tests.targets.lab import Lab

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]

#: What the last words of a container wouldn't hold.
LARGE = "open('outputs/large', 'wb').write(os.urandom(300 << 10))"


@pytest.mark.parametrize("before", ["pass", LARGE], ids=["last words", "archive"])
def test_no_name_of_an_output_is_special(lab: Lab, before: str) -> None:
    names = [
        "launch.json",
        "heartbeat",
        "cancel.json",
        "sub/report.json",
        "a\nb",
        "back\\slash",
        " ",
        "é" * 120,
    ]
    view = lab.run(
        f"""
        os.makedirs("outputs/sub")
        {before}
        for name in {names!r}:
            open("outputs/" + name, "w").write("kept")
        """
    )

    assert view.status == "Completed", view.record.verdict
    folder = lab.path(view.record.run_id, "files", "outputs")
    assert [name for name in names if not (folder / name).exists()] == []


@pytest.mark.parametrize("before", ["pass", LARGE], ids=["last words", "archive"])
def test_what_no_store_can_hold_keeps_nothing_else_back(lab: Lab, before: str) -> None:
    view = lab.run(
        f"""
        import socket
        {before}
        open("outputs/.airflow-train-tmp-mine", "w").write("ours look like this while they are half written")
        os.makedirs("outputs/x.airflow-train-tmp-y")
        open("outputs/x.airflow-train-tmp-y/file", "w").close()
        os.link("outputs/.airflow-train-tmp-mine", "outputs/second-name")
        os.link("/airflow-train/run/node_0/launch.json", "outputs/launch-of-ours")
        os.mkfifo("outputs/pipe")
        socket.socket(socket.AF_UNIX).bind("outputs/socket")
        os.symlink("/etc/passwd", "outputs/passwd")
        open(b"outputs/\\xff\\xfe", "w").write("kept")
        open("outputs/good", "w").write("kept")
        """
    )

    assert view.status == "Completed", view.record.verdict
    folder = lab.path(view.record.run_id, "files", "outputs")
    found = {path.name for path in folder.rglob("*")} - {"large"}
    assert found >= {"passwd", "\udcff\udcfe", "good"}
    assert found.isdisjoint({"pipe", "socket"})
    assert not (folder / "passwd").is_symlink()
    assert lab.nothing_left(view.record.run_id)
