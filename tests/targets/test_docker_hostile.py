"""What a careless or hostile script leaves in its volume: nothing of it may reach beyond its own run, or stop it."""

from __future__ import annotations

import os
import uuid

import pytest

from airflow_train.store import artifacts
from airflow_train.store.run_store import open_store
from airflow_train.targets.docker import admission, collect
from tests.targets.lab import Lab, until

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


@pytest.mark.parametrize(
    "deed",
    [
        "write(outbox + '00000900', b'no line with pieces')",
        "write(outbox + '00000900', b'{\"pieces\": [[1, 2, \"x\"]]}\\n')",
        "write(outbox + '00000900', b'{\"pieces\": [[\"files/../../../there\", 0, 3]]}\\nabc')",
        "os.truncate(os.open(outbox + '00000900', os.O_CREAT | os.O_WRONLY), 1 << 30)",
        "write(run + 'events/0900.json', b'no json')",
        "write(run + 'events/0900.json', b'[]')",
        'write(run + \'events/0900.json\', b\'{"status": "Merry", "at": "now", "reason": "", "by": ""}\')',
        "os.mkdir(run + 'ranks/first'); write(run + 'ranks/first/exit.json', b'{}')",
        # what stands where whoever looks expects something else, and a report before the end
        (
            "os.mkdir(run + 'ranks/first'); write(run + 'ranks/first/words', b'')\n"
            "os.mkdir(run + 'spec.json'); write(run + 'spec.json/words', b'')\n"
            "os.makedirs(run + 'registrations/x'); write(run + 'registrations/x/y', b'')\n"
            "write(outbox + '00000900', b'{\"pieces\": [[\"node_0/report.json\", 0, 2]]}\\n{}')"
        ),
        (
            "deep = '/'.join(['d' * 200] * 12) + '/'\n"
            "os.makedirs(run + 'files/outputs/' + deep); os.chdir(run + 'files/outputs/' + deep)\n"
            "os.makedirs(deep); open(deep + 'x', 'w').close(); os.chdir('/airflow-train/node_0/work')"
        ),
        "os.mkdir(run + 'owners'); write(run + 'owners/0001.json', b'{\"owner\": \"me\"}')",
    ],
)
def test_what_a_script_writes_in_place_of_its_supervisor_stays_behind(lab: Lab, deed: str) -> None:
    run_id = lab.start(
        f"""
        run, outbox = "/airflow-train/run/", "/airflow-train/node_0/outbox/"
        def write(path, content):
            with open(path, "wb") as file:
                file.write(content)
        exec({deed!r})
        print("said", flush=True)
        open("outputs/good", "w").write("kept")
        mark("ready")
        while not os.path.exists(os.environ["MARK"] + ".go"): time.sleep(0.05)
        """
    )
    lab.marked(run_id, "ready")
    until(lambda: lab.lines(run_id) == ["said"])
    assert all(".." not in name for name, _ in artifacts.names(lab.store.files, run_id))
    lab.mark_file(run_id).with_suffix(".marks.go").touch()
    view = lab.wait(run_id)

    assert view.status == "Completed", view.record.verdict
    assert lab.output(run_id, "outputs/good") == "kept"
    assert view.record.owners == ()
    assert lab.nothing_left(run_id)


def test_who_owns_a_run_and_how_it_ended_no_container_says() -> None:
    assert admission.is_own("node_0/report.json")
    assert admission.is_own("files/")
    for name in (
        "verdict.json",
        "owners/0001.json",
        "spec.json",
        "files/../owners/0001.json",
        "/etc/passwd",
        "files//x",
        "events/one.json",
        "ranks/0/words",
        "spec.json/x",
        "node_1/report.json",
    ):
        assert not admission.is_own(name)


def test_a_node_speaks_for_itself_only() -> None:
    assert admission.is_own("node_1/report.json", 1)
    assert not admission.is_own("node_0/report.json", 1)
    assert not admission.is_own("events/0001.json", 1)
    assert admission.comes_live("node_1/stop.json", 1)
    assert not admission.comes_live("node_1/report.json", 1)


def test_names_that_are_no_utf8_are_spelled_out_where_the_store_is_no_folder() -> None:
    store = open_store(f"memory://{uuid.uuid4()}/store")
    name = os.fsdecode(b"files/outputs/\xff")
    collect._store([collect._Arrival(name, 4, [b"kept"])], "some-run", store, 0)

    assert [found for found, _ in artifacts.names(store.files, "some-run")] == ["outputs/\\xff"]


@pytest.mark.parametrize(
    "deed",
    [
        "write(run + 'node_1/report.json', b'{}'); write(run + 'node_1/stop.json', b'{}')",
        (
            "os.mkdir(run + 'node_0'); write(run + 'node_0/report.json', b'{}')\n"
            "write(run + 'node_0/stop.json', b'[]')\n"
            "os.makedirs(run + 'ranks/0'); write(run + 'ranks/0/exit.json', b'{}')\n"
            "write(run + 'events/0001.json', b'[]')\n"
            "os.makedirs(run + 'files/user_logs/std_log_process_0.txt/x')\n"
            "os.makedirs('outputs/good/x'); write('outputs/good/x/y', b'')"
        ),
    ],
    ids=["own report", "what others say"],
)
def test_what_a_script_of_another_node_writes_costs_nobody_elses_outputs(lab: Lab, deed: str) -> None:
    run_id = lab.start(
        f"""
        run, outbox = "/airflow-train/run/", "/airflow-train/node_0/outbox/"
        def write(path, content):
            with open(path, "wb") as file:
                file.write(content)
        if os.environ["NODE_RANK"] == "1":
            exec({deed!r})
            open("outputs/of_1", "w").write("kept")
            write(outbox + '00000900', b'{{"pieces": [["node_0/report.json", 0, 2]]}}\\n{{}}')
        else:
            open("outputs/good", "w").write("kept")
        print("said", flush=True)
        while not os.path.exists(os.environ["MARK"] + ".go"): time.sleep(0.05)
        """,
        distribution={"type": "pytorch"},
        node_count=2,
    )
    until(lambda: [lab.lines(run_id, rank) for rank in range(2)] == [["said"]] * 2)
    lab.mark_file(run_id).with_suffix(".marks.go").touch()
    view = lab.wait(run_id)

    assert [lab.output(run_id, f"outputs/{name}") for name in ("good", "of_1")] == ["kept"] * 2
    assert view.status == ("Failed" if "node_1/report.json" in deed else "Completed"), view.record.verdict
    assert lab.nothing_left(run_id)
