"""Ctrl-C while waiting: asked once, then left alone; the run goes on unless it was cancelled."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


class Terminal:
    """A command on a terminal; Ctrl-C reaches its whole process group, as it does there."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.said = ""

    def expect(self, pattern: str, seconds: float = 30) -> str:
        """Read until something matches; returns its first group, or all of it."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.said)):
            assert time.monotonic() < deadline, f"{pattern!r} never came: {self.said}"
            if select.select([self._master], [], [], 0.2)[0]:
                self.said += self._read()
        self.said = self.said[found.end() :]
        return found.group(found.lastindex or 0)

    def _read(self) -> str:
        try:
            return os.read(self._master, 65536).decode(errors="replace")
        except OSError:  # the other side is closed
            pytest.fail(f"it ended early: {self.said}")

    def ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """The exit code."""
        code = self.process.wait(30)
        os.close(self._master)
        return code


@pytest.fixture
def go(tmp_path: Path) -> Iterator[Path]:
    """The file that lets the script end."""
    path = tmp_path / "go"
    yield path
    path.touch()


@pytest.fixture
def terminal(command: tuple[str, ...], define: Callable[..., str], go: Path) -> Iterator[Terminal]:
    """A person watching a run that waits for `go`."""
    started = Terminal(
        (*command, "run", define("waits_for_file", script_params={str(go): ""}, grace_seconds=5))
    )
    started.expect(r"\[0\] ready")
    yield started
    if started.process.poll() is None:  # the test has failed already
        started.process.kill()
        started.process.wait()


def test_no_answer_leaves_the_run_alone_and_says_how_to_come_back(
    terminal: Terminal, go: Path, cli: Any
) -> None:
    terminal.ctrl_c()
    terminal.expect(r"\[w\]ait on\? \[d\] ")
    terminal.type("\n")
    run_id = terminal.expect(r"airflow-train runs wait (\S+)`")
    assert terminal.end() == 0
    go.touch()
    assert cli("runs", "wait", run_id, "--json").data["status"] == "Completed"


def test_cancel_stops_the_run_and_ends_with_3(terminal: Terminal) -> None:
    terminal.ctrl_c()
    terminal.expect(r"\[d\] ")
    terminal.type("c\n")
    terminal.expect("canceled")
    assert terminal.end() == 3


def test_after_waiting_on_the_next_one_leaves_without_asking(terminal: Terminal) -> None:
    terminal.ctrl_c()
    terminal.expect(r"\[d\] ")
    terminal.type("w\n")
    terminal.ctrl_c()
    terminal.expect("left .* alone")
    assert terminal.end() == 0


def test_waiting_on_shows_the_rest(terminal: Terminal, go: Path) -> None:
    terminal.ctrl_c()
    terminal.expect(r"\[d\] ")
    terminal.type("w\n")
    go.touch()
    terminal.expect(r"\[0\] went on")
    terminal.expect("Completed")
    assert terminal.end() == 0


def test_a_second_ctrl_c_is_the_answer_to_leave(terminal: Terminal) -> None:
    terminal.ctrl_c()
    terminal.expect(r"\[d\] ")
    terminal.ctrl_c()
    terminal.expect("left .* alone")
    assert terminal.end() == 0


def test_without_a_terminal_nobody_is_asked(
    command: tuple[str, ...], define: Callable[..., str], go: Path
) -> None:
    path = define("waits_for_file", script_params={str(go): ""})
    process = subprocess.Popen(
        [*command, "run", path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "[0] ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "runs logs -f" in errors
    assert "[c]ancel" not in errors


def test_a_wait_that_was_interrupted_is_no_completed_run(
    command: tuple[str, ...], define: Callable[..., str], cli: Any, go: Path
) -> None:
    started = cli("run", define("waits_for_file", script_params={str(go): ""}), "--detach", "--json")
    process = subprocess.Popen(
        [*command, "runs", "wait", started.data["run_id"]],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "phase" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert "left" in process.communicate(timeout=30)[1]
    assert process.returncode == 130
