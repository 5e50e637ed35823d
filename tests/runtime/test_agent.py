"""The agent that mpirun calls instead of ssh: it starts a command on a node, and ends as that does."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_train.runtime import agents
from airflow_train.runtime.meeting import Meeting
from airflow_train.runtime.started import AT_A_TIME
from airflow_train.targets import certificates
from tests.targets.lab import until

ADDRESS = "10.1.2.3"


class Pair:
    """Node 0 and node 1 of a run, or more of them, without supervisors."""

    def __init__(self, folder: Path, nodes: int = 2) -> None:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            port = holder.getsockname()[1]
        self.asked: list[subprocess.Popen[str]] = []
        (folder / agents.AGENT_FILE).write_text(agents.AGENT)
        os.mkfifo(folder / "agents")
        self.folder = folder
        self._keys = certificates.make("agents", nodes)
        self.first, self.second, *more = (self._node(folder, node, port) for node in range(nodes))
        self.others = [self.second, *more]
        self.first.begin()
        for one in self.others:
            one.begin()
        came: set[int] = set()
        until(lambda: came.update(one["came"] for one in self.first.wait(0.1)) or len(came) == nodes - 1, 60)
        hosts = {ADDRESS: 1, **{f"10.1.3.{node}": node for node in range(2, nodes)}}
        self.first.serve(serve=str(folder), hosts=hosts)

    def _node(self, folder: Path, node: int, port: int) -> Meeting:
        keys = folder / str(node)
        keys.mkdir()
        for name, content in self._keys[node].items():
            (keys / name).write_bytes(content)
        facts = {
            "node": node,
            "nodes": len(self._keys),
            "host": "127.0.0.1",
            "port": port,
            "certificates": str(keys),
        }
        return Meeting({"meeting": facts})

    def allow(self, **environment: str) -> None:
        for one in self.others:
            one.serve(serve={"PATH": os.environ["PATH"], "NODE": str(one.node), **environment})

    def ask(self, *command: str, host: str = ADDRESS) -> subprocess.Popen[str]:
        argv = ["/bin/sh", str(self.folder / agents.AGENT_FILE), host, *command]
        self.asked.append(subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return self.asked[-1]

    def close(self) -> None:
        for one in self.asked:
            one.kill()
            one.communicate()
        for one in reversed([self.first, *self.others]):
            one.close()


@contextlib.contextmanager
def connected(folder: Path, nodes: int = 2) -> Iterator[Pair]:
    """A pair; what commands say comes out where the output of whoever makes it goes."""
    made = Pair(folder, nodes)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with connected(tmp_path) as made:
        yield made


def test_output_and_exit_code_come_back_and_the_environment_is_the_nodes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with connected(tmp_path) as pair:
        pair.allow(WHO="node 1")
        code = pair.ask("echo $WHO;", "echo oh >&2;", "exit 7").wait(20)

    assert (code, *capfd.readouterr()) == (7, "node 1\n", "oh\n")


def test_a_command_ended_by_a_signal_ends_as_in_a_shell(pair: Pair) -> None:
    pair.allow()
    assert pair.ask("kill -9 $$").wait(20) == 137


def test_what_comes_before_the_node_is_ready_waits(pair: Pair) -> None:
    asked = pair.ask("exit 5")
    with pytest.raises(subprocess.TimeoutExpired):
        asked.wait(0.5)
    pair.allow()

    assert asked.wait(20) == 5


def test_a_host_of_another_run_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with connected(tmp_path) as pair:
        code = pair.ask("true", host="10.9.9.9").wait(20)

    assert (code, capfd.readouterr().err) == (255, "no node of this run has the address 10.9.9.9\n")


def test_a_lost_node_is_code_255_and_what_it_ran_is_ended(pair: Pair, tmp_path: Path) -> None:
    pair.allow()
    mark = tmp_path / "pid"
    asked = pair.ask(f"echo $$ > {mark}; exec sleep 60")
    until(lambda: mark.exists() and mark.read_text().strip())
    assert pair.second.pid is not None
    os.kill(pair.second.pid, 9)

    assert asked.wait(20) == 255
    until(lambda: not Path(f"/proc/{mark.read_text().strip()}").exists())


def test_a_command_ends_with_the_agent_that_asked_for_it(pair: Pair, tmp_path: Path) -> None:
    pair.allow()
    mark = tmp_path / "pid"
    asked = pair.ask(f"echo $$ > {mark}; sleep 60; true")
    until(lambda: mark.exists() and mark.read_text().strip())
    asked.kill()

    until(lambda: not Path(f"/proc/{mark.read_text().strip()}").exists())


def test_an_agent_ends_when_what_connects_the_nodes_is_killed(pair: Pair, tmp_path: Path) -> None:
    pair.allow()
    mark = tmp_path / "begun"
    asked = pair.ask(f"touch {mark}; sleep 60")
    until(mark.exists)
    assert pair.first.pid is not None
    os.kill(pair.first.pid, 9)

    assert asked.wait(20) == 255


def test_who_meddles_with_what_agents_leave_blocks_nothing(pair: Pair) -> None:
    pair.allow()
    for name in ("agent-5", "agent-5.wanted"):
        os.mkfifo(pair.folder / name)
    with open(pair.folder / "agents", "w") as pipe:
        pipe.write("5\n6\nx\n\n")

    assert pair.ask("exit 4").wait(20) == 4


def test_a_node_runs_few_commands_at_a_time(pair: Pair) -> None:
    pair.allow()
    asked = [pair.ask("sleep 60") for _ in range(AT_A_TIME + 3)]
    until(lambda: sum(one.poll() == 255 for one in asked) == 3)


def test_a_command_that_can_not_be_started_is_no_lost_node(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with connected(tmp_path) as pair:
        pair.allow()
        pid = pair.second.pid or 0
        limits, taken = resource.prlimit(pid, resource.RLIMIT_NOFILE), set(os.listdir(f"/proc/{pid}/fd"))
        first_free = next(one for one in range(len(taken) + 1) if str(one) not in taken)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_free, limits[1]))
        code = pair.ask("true").wait(20)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

        assert (code, capfd.readouterr().err) == (255, "no process can be started: Too many open files\n")
        assert pair.ask("exit 3").wait(20) == 3


def test_of_more_than_64_nodes_each_is_reached_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As mpirun does that may start no tree of daemons: all its agents wait at a time."""
    with connected(tmp_path, 71) as crowd:
        asked = [crowd.ask("echo $NODE; sleep 1", host=f"10.1.3.{node}") for node in range(2, 71)]
        crowd.allow()
        codes = [one.wait(60) for one in asked]

    assert sorted(capfd.readouterr().out.split(), key=int) == [str(node) for node in range(2, 71)]
    assert set(codes) == {0}
