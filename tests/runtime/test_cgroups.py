"""Where a memory limit can be held, and the files that hold it, by both versions of control groups.

This machine's kernel has given its memory controller to one version, so the other's files are made here as its kernel
makes them: by mkdir, and those of memory only where the group above hands it on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_train.runtime import cgroups

RANKS = [{"rank": 0, "node": 0}, {"rank": 1, "node": 0}, {"rank": 2, "node": 1}]
FILES = {
    1: {"memory.limit_in_bytes": "", "memory.memsw.limit_in_bytes": "", "memory.max_usage_in_bytes": "0",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", "memory.use_hierarchy": "1"},
    2: {"memory.max": "", "memory.swap.max": "", "memory.peak": "0",
        "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"},
}  # fmt: skip

Machine = Callable[..., str]


class Kernel:
    """Mounts, groups and this process's place among them, in a folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.top, self.version = root, root / "sys fs cgroup", 2
        (root / "proc").mkdir()

    def boots(self, version: int, own: str, shown: str = "/", extra: str = "") -> str:
        """Own group and the part of the hierarchy that is mounted; returns the folder in place of /proc/self."""
        self.version = version
        controllers = "4:memory" if version == 1 else "0:"
        kind = "cgroup cgroup rw,memory" if version == 1 else "cgroup2 cgroup2 rw"
        point = str(self.top).replace(" ", "\\040")
        (self.root / "proc" / "cgroup").write_text(f"7:pids:/x\n{controllers}:{own}\n{extra}")
        (self.root / "proc" / "mountinfo").write_text(f"35 31 0:32 {shown} {point} rw - {kind}\n")
        self.mkdir(self.top)
        return str(self.root / "proc")

    def mkdir(self, path: Path | str, mode: int = 0o777) -> None:
        folder = Path(path)
        _mkdir(folder)
        names = {"cgroup.procs": ""}
        if self.version == 2:
            names |= {
                "cgroup.subtree_control": "",
                "cgroup.controllers": "memory" if self._memory(folder) else "",
            }
        if self._memory(folder):
            names |= FILES[self.version]
        for name, text in names.items():
            (folder / name).write_text(text)

    def _memory(self, folder: Path) -> bool:
        above = folder.parent / "cgroup.subtree_control"
        return self.version == 1 or not above.exists() or "memory" in above.read_text()

    def group(self, path: str, hands_on: bool = True, limit: str = "max") -> Path:
        """A group that is there already."""
        folder = self.top / path
        self.mkdir(folder)
        if self.version == 2:
            (folder / "cgroup.subtree_control").write_text("cpu memory" if hands_on else "")
            (folder / "memory.max").write_text(limit)
        return folder

    @staticmethod
    def rmdir(path: str) -> None:
        for file in Path(path).iterdir():
            if file.is_file():
                file.unlink()
        _rmdir(path)


_mkdir, _rmdir = os.mkdir, os.rmdir


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel(tmp_path)
    monkeypatch.setattr(cgroups.os, "mkdir", made.mkdir)
    monkeypatch.setattr(cgroups.os, "rmdir", made.rmdir)
    return made


def found(proc: str) -> str:
    return str(cgroups.find("run", 1 << 20, proc)["folder"])


# ---------------------------------------------------------------------- where


def test_version_1_is_held_below_ones_own_group(kernel: Kernel) -> None:
    proc = kernel.boots(1, "/service")
    kernel.group("service")

    assert found(proc) == str(kernel.top / "service" / "run")


def test_a_container_that_is_shown_its_own_group_only_finds_it(kernel: Kernel) -> None:
    proc = kernel.boots(1, "/docker/abc", shown="/docker/abc")

    assert found(proc) == str(kernel.top / "run")


def test_a_group_that_is_not_shown_is_not_guessed_at(kernel: Kernel) -> None:
    with pytest.raises(cgroups.NotHeld, match="no memory cgroups are mounted"):
        found(kernel.boots(1, "/docker/abcdef", shown="/docker/abc"))


def test_version_2_is_held_in_the_nearest_group_above_that_hands_memory_on(kernel: Kernel) -> None:
    proc = kernel.boots(2, "/user/app/airflow")
    for name, hands_on in (("user", True), ("user/app", True), ("user/app/airflow", False)):
        kernel.group(name, hands_on)

    assert found(proc) == str(kernel.top / "user" / "app" / "run")


def test_version_2_never_slips_out_of_a_limit_that_somebody_else_set(kernel: Kernel) -> None:
    proc = kernel.boots(2, "/airflow")
    (kernel.top / "cgroup.subtree_control").write_text("memory")
    kernel.group("airflow", hands_on=False, limit="1000000")

    with pytest.raises(cgroups.NotHeld, match="airflow has a memory limit and can't be divided"):
        found(proc)


def test_a_container_of_version_2_whose_group_is_not_divided_says_so(kernel: Kernel) -> None:
    with pytest.raises(cgroups.NotHeld, match="hands memory on"):
        found(kernel.boots(2, "/"))


def test_version_1_holds_memory_where_both_are_mounted(kernel: Kernel) -> None:
    proc = kernel.boots(1, "/", extra="0::/\n")

    assert cgroups.find("run", 1, proc)["version"] == 1


def test_a_system_without_groups_says_so(tmp_path: Path) -> None:
    with pytest.raises(cgroups.NotHeld, match="no memory cgroups are mounted"):
        found(str(tmp_path))


# ---------------------------------------------------------------------- the groups of a run


@pytest.fixture(params=[1, 2])
def place(request: pytest.FixtureRequest, kernel: Kernel) -> cgroups.Place:
    """Groups of a run in a machine of either version."""
    proc = kernel.boots(request.param, "/")
    if request.param == 2:
        (kernel.top / "cgroup.subtree_control").write_text("memory")
    made = cgroups.find("run", 64 << 20, proc)
    cgroups.make(made, RANKS)
    return made


def test_every_node_has_the_limit_and_no_swap_beside_it(place: cgroups.Place) -> None:
    memory, swap = list(FILES[place["version"]])[:2]
    together = {1: "67108864", 2: "0"}[place["version"]]  # version 1 counts memory and swap together
    nodes = [Path(place["folder"], f"node_{number}") for number in (0, 1)]

    assert [(one / memory).read_text() for one in nodes] == ["67108864"] * 2
    assert [(one / swap).read_text() for one in nodes] == [together] * 2


def test_every_rank_has_a_group_in_which_the_kernel_counts(place: cgroups.Place) -> None:
    assert [cgroups.rank_folder(place, one)[len(place["folder"]) :] for one in RANKS] == [
        "/node_0/rank_0",
        "/node_0/rank_1",
        "/node_1/rank_2",
    ]
    assert cgroups.facts(place, RANKS[2]) == {
        "limit_bytes": 64 << 20,
        "peak_bytes": 0,
        "oom_kills": 0,
        "at_limit": False,
    }


def test_what_the_kernel_counted_is_read(place: cgroups.Place) -> None:
    rank, node = Path(place["folder"], "node_0", "rank_1"), Path(place["folder"], "node_0")
    if place["version"] == 1:
        (rank / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
        (rank / "memory.max_usage_in_bytes").write_text("66000000\n")
        (node / "memory.max_usage_in_bytes").write_text(f"{64 << 20}\n")
    else:
        (rank / "memory.events").write_text("low 0\nmax 9\noom 0\noom_kill 2\noom_group_kill 0\n")
        (rank / "memory.peak").write_text("66000000\n")
        (node / "memory.events").write_text("low 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 0\n")

    facts = cgroups.facts(place, RANKS[1])
    assert (facts["oom_kills"], facts["peak_bytes"], facts["at_limit"]) == (2, 66000000, True)
    assert cgroups.facts(place, RANKS[0])["oom_kills"] == 0


def test_processes_of_another_pid_namespace_are_not_taken_for_ones_own(place: cgroups.Place) -> None:
    """The kernel shows them as 0, and a signal to 0 would hit whoever sends it."""
    Path(place["folder"], "node_0", "rank_0", "cgroup.procs").write_text("0\n")

    cgroups.remove(place)
    assert not Path(place["folder"]).exists()


def test_groups_that_can_not_be_made_leave_nothing(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    made = cgroups.find("run", 64 << 20, kernel.boots(1, "/"))
    monkeypatch.delitem(FILES[1], "memory.limit_in_bytes")

    with pytest.raises(cgroups.NotHeld, match=r"memory\.limit_in_bytes: No such file"):
        cgroups.make(made, RANKS)
    assert not Path(made["folder"]).exists()
