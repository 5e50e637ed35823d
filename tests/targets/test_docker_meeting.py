"""Nodes on docker that come late, never, or among strangers."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from airflow_train.runtime import protocol
from airflow_train.targets.docker import plan
from airflow_train.targets.docker.engine import Engine
from tests.targets.lab import IMAGE, Lab, docker, until

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]

PLAIN: Mapping[str, Any] = {"distribution": {"type": "pytorch"}, "node_count": 3}
#: In a container of its own: everything that one can do without a key, until node 0 is gone; prints what it was told.
STRANGER = """
import socket, ssl, struct, sys
host, told, tries, held = sys.argv[1], b"", 0, []
nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
rubbish = [
    b"GET / HTTP/1.1\\r\\n\\r\\n" * 99,
    struct.pack(">I", 0xFFFFFFFF) + b'{"start": 1, "command": "touch /tmp/owned"}' * 999,
    b"\\x16\\x03\\x01\\x40\\x00\\x01\\xff\\xff\\xff" + b"A" * 99999,
]
while True:
    try:
        connection = socket.create_connection((host, 6174), timeout=1)
    except (ConnectionRefusedError, socket.gaierror):
        if tries:
            break
        continue
    except OSError:
        continue
    tries += 1
    try:
        if tries % 5 == 0:
            connection = nobody.wrap_socket(connection)
            connection.sendall(b'\\0\\0\\0\\x0d{"came": 1, }')
            told += connection.recv(1 << 16)
        elif tries % 5 == 1:
            held.append(connection)  # half open, for ever
            held.append(socket.create_connection((host, 6174), timeout=1))
            held[-1].sendall(b"\\x16\\x03\\x01\\x40\\x00")
        else:
            connection.sendall(rubbish[tries % 5 - 2])
            connection.close()
    except OSError:
        pass
print(tries > 100, told)
"""


def start_late(monkeypatch: pytest.MonkeyPatch, late: str, meanwhile: Any) -> None:
    """Let something happen before the engine is asked to start the containers whose names end so."""
    real = Engine.start

    def start(engine: Engine, name: str) -> None:
        if name.endswith(late):
            meanwhile()
        real(engine, name)

    monkeypatch.setattr(Engine, "start", start)


def waits(lab: Lab, run_id: str, words: str) -> None:
    """Wait until node 0 says that it waits for that."""
    event = f"{plan.RUN_FOLDER}/{protocol.EVENTS_FOLDER}"
    name = plan.container_name(run_id)
    until(lambda: words in docker("exec", name, "sh", "-c", f"cat {event}/*", check=False))


def test_nodes_that_start_late_are_waited_for_and_said_to_be(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = lab.spec("mark('ran')", **PLAIN)
    start_late(monkeypatch, "node2", lambda: waits(lab, spec.run_id, "waiting for nodes 1 and 2"))
    lab.submit(spec)
    view = lab.wait(spec.run_id)

    assert view.status == "Completed", view.record.verdict
    assert lab.marks(spec.run_id).count("ran") == 3
    assert [one.name for one in view.record.phases].count("meet") == 1
    assert lab.nothing_left(spec.run_id)


def test_a_node_that_never_comes_is_named_with_the_option_and_nothing_was_started(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(lab.spec("mark('ran')", **PLAIN), limits={"meet": 2.0})
    real = Engine.start

    def start(engine: Engine, name: str) -> None:
        if not name.endswith("node1"):
            real(engine, name)

    monkeypatch.setattr(Engine, "start", start)
    lab.submit(spec)
    view = lab.wait(spec.run_id)
    verdict = view.record.verdict or {}

    assert (verdict["status"], verdict["reason"]) == ("Failed", "phase_limit")
    assert "2 of 3 nodes had come; node 1 has not come. Raise [train] meet_limit" in verdict["message"]
    assert view.record.starts == {}
    assert lab.marks(spec.run_id) == []
    assert lab.nothing_left(spec.run_id)


def test_a_stranger_in_the_network_gets_nothing_and_keeps_nobody_out(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = lab.spec("mark('ran')", **{**PLAIN, "node_count": 2})
    place = ["--network", plan.network_name(spec.run_id), IMAGE, "python3", "-c", STRANGER]
    stranger: list[subprocess.Popen[str]] = []

    def attack() -> None:
        command = ["docker", "run", "--rm", *place, plan.host_name(spec.run_id)]
        stranger.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        log = f"{plan.RUN_FOLDER}/{protocol.node_log(0)}"
        name = plan.container_name(spec.run_id)
        until(lambda: docker("exec", name, "cat", log, check=False).count("was refused") >= 20)

    start_late(monkeypatch, "node1", attack)
    lab.submit(spec)
    said, _ = stranger[0].communicate(timeout=60)
    view = lab.wait(spec.run_id)
    logs = [lab.output(spec.run_id, f"system_logs/node_{node}.txt") for node in range(2)]

    assert said == "True b''\n"
    assert view.status == "Completed", view.record.verdict
    assert lab.marks(spec.run_id).count("ran") == 2
    assert logs[0].count("was refused") == 20
    assert "owned" not in "".join(logs)
