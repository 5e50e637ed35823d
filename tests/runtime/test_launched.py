"""What mpirun starts for a rank: a shell that stands in for it, while the supervisor's wrapper runs the script."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_train.runtime import protocol
from airflow_train.runtime.launched import LaunchedRanks
from tests.targets.lab import until

#: Shells that images have as `/bin/sh`.
SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
_CODE = """
import json, os, signal, sys, time
with open(sys.argv[1] + ".part", "w") as file:
    json.dump(dict(os.environ), file)
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(float(sys.argv[2]))
"""


class Session:
    """The ranks of one supervisor, without one; this process plays mpirun."""

    def __init__(self, folder: Path, shell: list[str], seconds: float) -> None:
        self.seen, self._shell = folder / "seen", shell
        (folder / "train.py").write_text(_CODE)
        self.launch: dict[str, Any] = {
            "run_id": "one",
            "run_folder": str(folder),
            "work_folder": str(folder),
            "script_path": "",
            "command": [sys.executable, "train.py", str(self.seen), str(seconds)],
            "environment": {},
            "ranks": [{"rank": 0, "node": 0, "serves": False, "environment": {}}],
        }
        self.ranks = LaunchedRanks(self.launch)
        self.ranks.session = str(folder / "session")
        self.ranks.start([], None)
        self._started: list[subprocess.Popen[str]] = []
        self.ended: list[dict[str, Any]] = []

    def stand_in(self, rank: int = 0, size: int = 1) -> subprocess.Popen[str]:
        made = {"OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": str(size), "ODD": "a\nb=c"}
        argv = [*self._shell, f"{self.ranks.session}/{protocol.STAND_IN_FILE}"]
        self._started.append(subprocess.Popen(argv, env={**os.environ, **made}, text=True))
        return self._started[-1]

    def attend(self) -> list[dict[str, Any]]:
        self.ended += [record for _, record in self.ranks.ended()]
        return self.ended

    def begun(self) -> dict[str, str]:
        """The script's environment, once it runs."""
        until(lambda: not self.attend() and self.seen.exists())
        found: dict[str, str] = json.loads(self.seen.read_text())
        return found

    def close(self) -> None:
        for pid, (_, control) in self.ranks.wrappers.items():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(control)
        self.ranks.let_go()
        for one in self._started:
            one.kill()
            one.wait()


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    found = SHELLS[request.param]
    if shutil.which(found[0]) is None:
        pytest.skip(f"no {found[0]} here")
    return found


@pytest.fixture
def session(tmp_path: Path, shell: list[str]) -> Iterator[Session]:
    made = Session(tmp_path, shell, 60)
    yield made
    made.close()


def test_the_script_sees_what_mpirun_has_made_of_it(tmp_path: Path, shell: list[str]) -> None:
    session = Session(tmp_path, shell, 0)
    stand_in = session.stand_in()
    seen = session.begun()
    until(session.attend)

    assert (seen["OMPI_COMM_WORLD_RANK"], seen["ODD"]) == ("0", "a\nb=c")
    assert [(one["code"], one["stopped_by"]) for one in session.ended] == [(0, None)]
    assert stand_in.poll() is None  # mpirun sees no end before all have ended
    session.ranks.let_go()
    assert stand_in.wait(10) == 0


def test_mpirun_ends_a_rank_and_its_stand_in_stays_until_all_have_ended(session: Session) -> None:
    stand_in = session.stand_in()
    session.begun()
    stand_in.terminate()
    until(session.attend)

    assert [(one["signal"], one["stopped_by"]) for one in session.ended] == [(15, protocol.BY_LAUNCHER)]
    assert stand_in.poll() is None


def test_who_kills_a_stand_in_has_killed_the_rank(session: Session) -> None:
    stand_in = session.stand_in()
    session.begun()
    stand_in.kill()
    until(session.attend)

    assert [(one["signal"], one["stopped_by"]) for one in session.ended] == [(9, protocol.WRAPPER_KILLED)]


def test_a_rank_that_is_to_end_before_it_has_come_is_never_started(session: Session) -> None:
    with open(f"{session.ranks.session}/ranks", "w") as pipe:
        pipe.write("end 0\n")  # as for a signal that comes while the shell says that it is here
    stand_in = session.stand_in()
    until(lambda: os.path.exists(f"/proc/{stand_in.pid}/fd/5"))  # it says so next
    for _ in range(10):
        time.sleep(0.02)
        session.attend()

    assert (session.ranks.wrappers, stand_in.poll()) == ({}, None)


@pytest.mark.parametrize("what", ["fork", "pipe"])
def test_a_rank_for_which_there_is_no_process_could_not_start(
    session: Session, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def refuse() -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    session.stand_in()
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, what, refuse)
    until(session.attend)

    words = "no process can be started: Resource temporarily unavailable"
    assert [one["could_not_start"] for one in session.ended] == [words]
    assert session.ranks.left() == []
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_stand_in_ends_with_the_supervisor(session: Session) -> None:
    stand_in = session.stand_in()
    session.begun()
    for pipe in session.ranks._waits.values():  # as the kernel does for one that is dead
        os.close(pipe)
    session.ranks._waits.clear()
    session.ranks._stand_ins.clear()

    assert stand_in.wait(10) == 0


def test_a_stand_in_whose_supervisor_is_dead_does_not_wait(tmp_path: Path, shell: list[str]) -> None:
    session = Session(tmp_path, shell, 60)
    session.ranks.tell(b"")
    for pipe in (*session.ranks._pipes, *session.ranks._waits.values()):
        os.close(pipe)
    session.ranks._pipes, session.ranks._waits = [], {}

    assert session.stand_in().wait(10) == 0
    session.close()


def test_a_world_that_was_not_planned_is_refused(session: Session) -> None:
    session.stand_in(size=3)
    until(session.attend)

    assert session.ended[0]["could_not_start"] == "mpirun has made a world of 3 ranks, but 1 are planned"


def test_what_nobody_planned_waits_for_the_end(session: Session) -> None:
    stray = session.stand_in(rank=7)
    session.stand_in()
    session.begun()

    assert stray.poll() is None
    session.ranks.let_go()
    assert stray.wait(10) == 0


def test_a_stand_in_says_what_it_is_when_somebody_calls_it(session: Session) -> None:
    script = f"{session.ranks.session}/{protocol.STAND_IN_FILE}"
    bare = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["/bin/sh", script], env=bare, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "this is what mpirun starts for a rank" in done.stderr


def test_a_script_that_meddles_neither_stops_nor_blocks_the_supervisor(session: Session) -> None:
    session.launch["meeting"] = {"node": 0, "world": [{"rank": 0, "node": 0}, {"rank": 1, "node": 1}]}
    os.mkfifo(f"{session.ranks.session}/environment-1")
    with open(f"{session.ranks.session}/ranks", "w") as pipe:
        pipe.write("here\nhere x y\nhere 5 1\nhere 1 0\nhere 1 0\nend\nend z\n\nnonsense 1\n")
        pipe.write("x" * 20_000)
        pipe.flush()
        session.attend()
        pipe.write("\n")
    session.stand_in(size=2)

    assert session.begun()["OMPI_COMM_WORLD_RANK"] == "0"


def test_without_proc_the_environment_is_what_the_stand_in_has_left(tmp_path: Path) -> None:
    ranks = LaunchedRanks({"ranks": []})
    ranks.session = str(tmp_path)
    (tmp_path / "environment-0").write_bytes(b"ONE=1\0=nameless\0TWO=a\nb=c\0")

    assert ranks._environment_of(0, 2**30) == {"ONE": "1", "TWO": "a\nb=c"}


def test_a_link_in_the_place_of_the_session_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").touch()
    ranks = LaunchedRanks({"ranks": []})
    ranks.session = str(tmp_path / "session")
    os.symlink(tmp_path / "other", ranks.session)
    ranks._remove_session()

    assert (tmp_path / "other" / "precious").exists()
