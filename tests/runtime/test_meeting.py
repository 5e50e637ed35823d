"""Nodes with supervisors of their own meet by mutual TLS, and each failure names who is to blame."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_train.runtime import protocol
from airflow_train.targets import certificates, launch
from tests.runtime.crowd import Processes
from tests.targets.lab import until

PYTORCH = {"distribution": {"type": "pytorch"}}
WAIT = "import time; time.sleep(60)"
#: Seconds within which a lost node has to be noticed.
NOTICED = 10.0


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Callable[..., Processes]]:
    made: list[Processes] = []

    def make(nodes: int, code: str, **job: Any) -> Processes:
        made.append(Processes(tmp_path, nodes, code, **{**PYTORCH, **job}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def started(crowd: Processes, rank: int) -> None:
    """Wait until a rank has started and node 0 knows."""
    until(lambda: (crowd.here(0, "run", protocol.rank_folder(rank), "start.json")).exists())


# ---------------------------------------------------------------------- together


def test_nodes_start_their_ranks_when_all_have_come_and_know_where_to_meet(
    crowd: Callable[..., Processes],
) -> None:
    code = """
    import os, socket, time
    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if os.environ["RANK"] == "0":
        listener = socket.create_server(place)
        print(*sorted(listener.accept()[0].recv(9).decode() for _ in range(3)))
    else:
        while True:
            try:
                socket.create_connection(place).sendall(os.environ["RANK"].encode())
                break
            except OSError:
                time.sleep(0.05)
    """
    nodes = crowd(2, code, process_count_per_node=2)
    nodes.start(1)
    until(lambda: "can't be reached" in nodes.log(1))
    nodes.start(0)
    nodes.wait()

    assert nodes.lines(0) == ["1 2 3"]
    assert {rank: (one["node"], one["code"]) for rank, one in nodes.exits().items()} == {
        rank: (rank // 2, 0) for rank in range(4)
    }
    assert nodes.stop_record() == {}


def test_more_than_64_nodes_meet_and_each_rank_leaves_its_record(crowd: Callable[..., Processes]) -> None:
    nodes = crowd(70, "pass")
    nodes.start()
    nodes.wait(timeout=120)

    assert {rank: (one["node"], one["code"]) for rank, one in nodes.exits().items()} == {
        rank: (rank, 0) for rank in range(70)
    }


def test_tensorflow_is_told_where_workers_and_servers_are(crowd: Callable[..., Processes]) -> None:
    code = """
    import json, os, time
    told = json.loads(os.environ["TF_CONFIG"])
    print(told["cluster"])
    time.sleep(60 if told["task"]["type"] == "ps" else 0)
    """
    distribution = {"type": "tensorflow", "worker_count": 2, "parameter_server_count": 1}
    nodes = crowd(2, code, distribution=distribution)
    nodes.start()
    nodes.wait()
    told = {nodes.lines(rank)[0] for rank in range(3)}

    assert len(told) == 1
    assert "@" not in told.pop()
    assert {rank: one["node"] for rank, one in nodes.exits().items()} == {0: 0, 1: 1, 2: 0}
    assert nodes.exits()[2]["stopped_by"] == protocol.SERVED


def test_no_key_is_left_when_the_script_runs(crowd: Callable[..., Processes]) -> None:
    nodes = crowd(2, "import glob, os; print(glob.glob(os.getcwd() + '/../keys/*'))")
    nodes.start()
    nodes.wait()

    assert [nodes.lines(rank) for rank in range(2)] == [["[]"]] * 2


@pytest.mark.parametrize("wins", [f"{protocol.FIRST_KEYS}one", "late-one"])
def test_of_the_keys_of_several_submitters_those_of_the_winner_count(
    crowd: Callable[..., Processes], wins: str
) -> None:
    """One wins, one has filled all nodes too, and one was killed on the way."""
    nodes = crowd(3, "print('met')")
    beaten = certificates.make("crowd", 3)
    sets = {f"{protocol.FIRST_KEYS}one": beaten, "late-one": beaten, wins: nodes.keys}
    for node in range(3):
        folder = nodes.here(node, "own", "keys")
        for file in list(folder.iterdir()):
            file.unlink()
        for name, made in sets.items():
            keys(folder / name, made[node])
        keys(folder / "half", {"certificate.pem": beaten[node]["certificate.pem"]})
    if not wins.startswith(protocol.FIRST_KEYS):
        (nodes.here(0, "own", "keys") / protocol.CHOSEN_FILE).write_text(wins)
    nodes.start()
    nodes.wait()

    assert [nodes.lines(rank) for rank in range(3)] == [["met"]] * 3
    assert all(list(nodes.here(node, "own", "keys").rglob("*.pem")) == [] for node in range(3))


# ---------------------------------------------------------------------- failures


def test_a_node_that_never_comes_is_named_and_nothing_is_started(crowd: Callable[..., Processes]) -> None:
    nodes = crowd(4, WAIT, meet_limit=1.0)
    nodes.start(0, 1, 3)
    nodes.wait(0, 1, 3)

    assert nodes.stop_record()["reason"] == protocol.STOP_PHASE_LIMIT
    assert nodes.stop_record()["detail"] == "3 of 4 nodes had come; node 2 has not come"
    assert not nodes.here(0, "run", "ranks").exists()


def test_a_node_whose_first_one_never_comes_says_so(crowd: Callable[..., Processes]) -> None:
    nodes = crowd(2, WAIT, meet_limit=0.5)
    nodes.start(1)
    nodes.wait(1)

    assert nodes.record(1, protocol.REPORT_FILE)["error"].startswith("node 0 can't be reached at 127.0.0.1:")


def test_a_node_that_can_not_lay_out_its_code_ends_the_run_with_its_reason(
    crowd: Callable[..., Processes],
) -> None:
    nodes = crowd(2, WAIT)
    for file in nodes.here(1, "own", "code").iterdir():
        file.unlink()
    nodes.here(1, "own", "code").rmdir()
    nodes.start()
    nodes.wait()

    assert nodes.record(0, protocol.REPORT_FILE)["error"].startswith("node 1: ")


def test_a_node_that_lays_out_its_code_for_too_long_says_so_and_nothing_is_started(
    crowd: Callable[..., Processes], tmp_path: Path
) -> None:
    nodes = crowd(2, WAIT)
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "weights").touch()
    path = nodes.here(1, "run", protocol.node_folder(1), protocol.LAUNCH_FILE)
    copied = {"source": str(tmp_path / "earlier"), "target": str(tmp_path / "copied")}
    late = {"limits": {"stage": 0.0}, "checkpoints": [copied]}
    path.write_text(json.dumps({**json.loads(path.read_text()), **late}))
    nodes.start()
    nodes.wait()

    expected = "node 1: laying out the code took longer than it may"
    assert nodes.record(0, protocol.REPORT_FILE)["error"] == expected
    assert not nodes.here(0, "run", "ranks").exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_node_is_named_in_time_and_the_others_end(crowd: Callable[..., Processes], how: int) -> None:
    nodes = crowd(3, WAIT)
    nodes.start()
    for rank in range(3):
        started(nodes, rank)
    began = time.monotonic()
    if how == signal.SIGKILL:
        nodes.kill(2)
    else:
        nodes.stop(2)
    until(nodes.stop_record, NOTICED)
    took = time.monotonic() - began
    nodes.wait(0, 1)

    assert took < NOTICED
    assert nodes.stop_record()["reason"] == protocol.STOP_NODE_LOST
    assert nodes.stop_record()["node"] == 2
    assert nodes.stop_record()["detail"].startswith("node 2 was lost with 1 of its ranks running, as ")


def test_all_end_when_node_0_is_lost(crowd: Callable[..., Processes]) -> None:
    nodes = crowd(3, WAIT)
    nodes.start()
    for rank in range(3):
        started(nodes, rank)
    nodes.kill(0)
    nodes.wait(1, 2, timeout=NOTICED)

    assert nodes.stop_record(1)["reason"] == protocol.STOP_NODE_LOST
    assert nodes.stop_record(1)["node"] == 0


def test_a_node_0_that_loses_its_own_way_to_the_others_blames_none_of_them(
    crowd: Callable[..., Processes],
) -> None:
    nodes = crowd(3, WAIT)
    nodes.start()
    for rank in range(3):
        started(nodes, rank)
    os.kill(min(nodes.family(0)[1:]), signal.SIGKILL)  # its first child is what is connected
    nodes.wait()

    assert (nodes.stop_record()["reason"], nodes.stop_record()["node"]) == (protocol.STOP_NODE_LOST, 0)
    assert nodes.stop_record()["detail"] == (
        "node 0 was lost, as the process that is connected to the other nodes has ended"
    )


def test_a_node_that_is_late_to_hear_that_all_is_over_has_lost_nobody(
    crowd: Callable[..., Processes], tmp_path: Path
) -> None:
    code = f"""
    import os, time
    while os.environ["RANK"] == "0" and not os.path.exists({str(tmp_path / "go")!r}):
        time.sleep(0.01)
    """
    nodes = crowd(2, code)
    nodes.start()
    until(lambda: 1 in nodes.exits())
    nodes.running[1].send_signal(signal.SIGSTOP)
    (tmp_path / "go").touch()
    nodes.wait(0)
    nodes.running[1].send_signal(signal.SIGCONT)
    nodes.wait(1)

    assert nodes.stop_record(1) == {}
    assert nodes.record(1, protocol.REPORT_FILE)["error"] is None


def test_a_node_0_that_stood_still_too_long_names_itself_when_it_goes_on(
    crowd: Callable[..., Processes],
) -> None:
    nodes = crowd(2, WAIT)
    nodes.start()
    for rank in range(2):
        started(nodes, rank)
    still = nodes.family(0)
    nodes.stop(0)
    nodes.wait(1, timeout=NOTICED)
    for pid in still:
        os.kill(pid, signal.SIGCONT)
    nodes.wait(0)

    assert (nodes.stop_record()["reason"], nodes.stop_record()["node"]) == (protocol.STOP_NODE_LOST, 0)
    assert (
        nodes.stop_record()["detail"] == "node 0 was given up by node 1, as nothing has come from it for 5 s"
    )


def test_a_failed_rank_of_another_node_is_named_and_ends_the_others(crowd: Callable[..., Processes]) -> None:
    code = "import os, sys, time\nif os.environ['RANK'] == '2': sys.exit(3)\ntime.sleep(60)"
    nodes = crowd(3, code)
    nodes.start()
    nodes.wait()
    exits = nodes.exits()

    assert (nodes.stop_record()["reason"], nodes.stop_record()["rank"]) == (protocol.STOP_RANK_FAILED, 2)
    assert exits[2]["code"] == 3
    assert [exits[rank]["stopped_by"] for rank in range(3)] == [protocol.BY_SUPERVISOR] * 2 + [None]


def test_a_node_that_is_told_to_end_is_named(crowd: Callable[..., Processes]) -> None:
    nodes = crowd(2, WAIT)
    nodes.start()
    for rank in range(2):
        started(nodes, rank)
    nodes.running[1].terminate()
    nodes.wait()

    assert (nodes.stop_record()["reason"], nodes.stop_record()["node"]) == (protocol.STOP_OUTSIDE, 1)


def test_a_cancel_at_node_0_ends_all(crowd: Callable[..., Processes]) -> None:
    nodes = crowd(2, WAIT)
    nodes.start()
    for rank in range(2):
        started(nodes, rank)
    nodes.here(0, "run", protocol.CANCEL_FILE).write_text("{}")
    nodes.wait()

    assert nodes.stop_record()["reason"] == protocol.STOP_CANCEL
    assert {one["signal"] for one in nodes.exits().values()} == {signal.SIGTERM}


# ---------------------------------------------------------------------- strangers


def connect(nodes: Processes, **context: Any) -> ssl.SSLSocket:
    """A connection to node 0 by whoever has these files: `keys` of a node, or none."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if "keys" in context:
        made.load_cert_chain(context["keys"] / "certificate.pem", context["keys"] / "key.pem")
    plain = socket.create_connection(("127.0.0.1", nodes.places(0).meeting.port), timeout=10)
    return made.wrap_socket(plain)


def keys(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def heard(open_connection: Callable[[], ssl.SSLSocket], says: bytes = b"") -> bytes:
    """What the other side says before it hangs up; nothing, when there is no agreement on who is who."""
    try:
        with open_connection() as connection:
            connection.sendall(says)
            return connection.recv(1 << 16)
    except OSError:
        return b""


def test_strangers_are_refused_and_keep_nobody_out(crowd: Callable[..., Processes], tmp_path: Path) -> None:
    nodes = crowd(2, "print('done')")
    nodes.start(0)
    until(lambda: nodes.events()[-1:] == ["waiting for node 1"])
    port = nodes.places(0).meeting.port
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    talks = socket.create_connection(("127.0.0.1", port))
    talks.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
    other_run = certificates.make("other", 2)[1]
    for context in (
        {},
        {"keys": keys(tmp_path / "other", other_run)},
        {"keys": keys(tmp_path / "first", nodes.keys[0])},
    ):
        assert heard(lambda context=context: connect(nodes, **context)) == b""
    nodes.start(1)
    nodes.wait()
    for one in [*silent, talks]:
        one.close()

    assert nodes.lines(1) == ["done"]
    assert "was refused: its certificate isn't taken for this run's (" in nodes.log(0)


def test_nobody_listens_any_more_once_all_have_met(crowd: Callable[..., Processes]) -> None:
    nodes = crowd(2, WAIT)
    nodes.start()
    for rank in range(2):
        started(nodes, rank)
    with pytest.raises(ConnectionRefusedError):
        connect(nodes)
    nodes.here(0, "run", protocol.CANCEL_FILE).write_text("{}")
    nodes.wait()


def test_a_node_that_gave_up_waiting_for_its_welcome_is_not_lost_but_comes_again(
    crowd: Callable[..., Processes], tmp_path: Path
) -> None:
    """As on a machine that has too much to do."""
    nodes = crowd(2, "print('done')")
    context = {"keys": keys(tmp_path / "first", nodes.keys[1])}
    nodes.start(0)
    until(lambda: nodes.events()[-1:] == ["waiting for node 1"])
    with connect(nodes, **context) as early:
        assert b"welcome" in early.recv(1 << 16)
    nodes.start(1)
    nodes.wait()

    assert nodes.lines(1) == ["done"]


def test_a_node_takes_nothing_from_one_that_only_plays_node_0(
    crowd: Callable[..., Processes], tmp_path: Path
) -> None:
    nodes = crowd(3, WAIT, meet_limit=1.5)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = keys(tmp_path / "second", nodes.keys[2])
    made.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    with socket.create_server(("127.0.0.1", nodes.places(0).meeting.port)) as listener:
        nodes.start(1)
        dialled = listener.accept()[0]
        said = heard(lambda: made.wrap_socket(dialled, server_side=True), b'\0\0\0\x0e{"welcome": 1}')
        dialled.close()
        nodes.wait(1)

    assert said == b""
    assert "its certificate isn't taken for this run's (" in nodes.log(1)


@pytest.mark.parametrize(
    ("backdated", "valid", "words"),
    [(-3600, 7200, "certificate is not yet valid"), (7200, -3600, "certificate has expired")],
)
def test_a_certificate_out_of_its_time_is_refused_and_named(
    crowd: Callable[..., Processes], monkeypatch: pytest.MonkeyPatch, backdated: int, valid: int, words: str
) -> None:
    """As of a node whose clock is wrong by more than an hour."""
    nodes = crowd(2, WAIT, meet_limit=1.0)
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "BACKDATED", timedelta(seconds=backdated))
        patch.setattr(certificates, "VALID", timedelta(seconds=valid))
        made = certificates.make("crowd", 2)
    for node in range(2):
        for name, content in made[node].items():
            file = nodes.here(node, "own", "keys", name)
            file.unlink()
            file.write_bytes(content)
    nodes.start()
    nodes.wait()

    assert words in nodes.log(1)
    assert "node 1 has not come" in nodes.stop_record()["detail"]
    assert not nodes.here(0, "run", "ranks").exists()


def test_what_was_overheard_starts_nothing_a_second_time(
    crowd: Callable[..., Processes], tmp_path: Path
) -> None:
    nodes = crowd(3, f"open({str(tmp_path / 'marks')!r}, 'a').write('x'); {WAIT}")
    port = nodes.places(0).meeting.port
    overheard: dict[str, bytes] = {"to 0": b"", "to 1": b""}
    nodes._port = relay(port, overheard)
    again(nodes, 1)
    nodes.start(0, 1)
    until(lambda: nodes.record(1, protocol.HEARTBEAT_FILE) and len(overheard["to 0"]) > 1000)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as replayed:
        replayed.sendall(overheard["to 0"])
        with contextlib.suppress(ConnectionResetError):
            while replayed.recv(1 << 16):
                pass
    until(lambda: "was refused" in nodes.log(0))
    nodes.start(2)
    for rank in range(3):
        started(nodes, rank)
    nodes.here(0, "run", protocol.CANCEL_FILE).write_text("{}")
    nodes.wait()

    assert (tmp_path / "marks").read_text() == "xxx"


def again(nodes: Processes, node: int) -> None:
    """Write the launch file of a node anew."""
    made = json.dumps(launch.build(nodes.spec, nodes.places(node)))
    nodes.here(node, "run", protocol.node_folder(node), protocol.LAUNCH_FILE).write_text(made)


def relay(port: int, heard: dict[str, bytes]) -> int:
    """A port whose first connection is passed on to node 0, overheard."""
    listener = socket.create_server(("127.0.0.1", 0))
    own = int(listener.getsockname()[1])

    def carry(source: socket.socket, target: socket.socket, key: str) -> None:
        while data := source.recv(1 << 16):
            heard[key] += data
            target.sendall(data)
        target.close()

    def run() -> None:
        dialled, _ = listener.accept()
        listener.close()
        while True:
            try:
                first = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                time.sleep(0.05)
        threading.Thread(target=carry, args=(dialled, first, "to 0"), daemon=True).start()
        threading.Thread(target=carry, args=(first, dialled, "to 1"), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    return own


def test_keys_are_for_one_role_and_nobody_else_may_read_them(crowd: Callable[..., Processes]) -> None:
    from cryptography import x509

    nodes = crowd(2, WAIT)
    files = sorted(nodes.here(1, "own", "keys").iterdir())
    certificate = x509.load_pem_x509_certificate(nodes.keys[1]["certificate.pem"])
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert [stat.S_IMODE(os.stat(file).st_mode) for file in files] == [0o400] * 3
    assert [one._name for one in usage] == ["clientAuth"]
    assert time.time() - certificate.not_valid_before_utc.timestamp() >= 3600
