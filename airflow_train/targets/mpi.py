"""Open MPI on one machine: which mpirun there is, and its command line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from airflow_train.runtime import protocol

#: Ranks of one machine meet in shared memory. To name the ways spares trying all others (0.3 s instead of 1.3 s).
_BY_MAJOR = {
    4: {
        "btl": "self,vader,tcp",
        "orte_tmpdir_base": protocol.SESSION_PLACEHOLDER,
    },
    5: {
        "btl": "self,sm,tcp",
        "prte_tmpdir_base": protocol.SESSION_PLACEHOLDER,
    },
}
#: The same for both. A rank that waits leaves its processor to the others, of which there may be more than processors;
#: big messages are copied twice, as containers forbid a process to read another's memory.
_ALWAYS = {
    "pml": "ob1",
    "btl_tcp_if_include": "127.0.0.0/8",
    "mpi_yield_when_idle": "1",
    # the library that a script has loaded can be of the other major version; what it doesn't know it passes over
    "btl_vader_single_copy_mechanism": "none",
    "btl_vader_backing_directory": protocol.SESSION_PLACEHOLDER,
    "smsc": "^cma",
    "btl_sm_backing_directory": protocol.SESSION_PLACEHOLDER,
}


@dataclass(frozen=True)
class Mpirun:
    """An mpirun that works here."""

    path: str
    #: Major version of Open MPI.
    major: int
    #: It refuses to run for uid 0 unless told otherwise.
    as_root: bool = False


def find(interpreter: str) -> Mpirun | None:
    """The mpirun beside the script's interpreter, where its mpi4py is from, else on PATH, else ours; None without."""
    for path in _candidates(interpreter):
        major = _major(path)
        if major in _BY_MAJOR:
            return Mpirun(path, major, as_root=os.geteuid() == 0)
    return None


def missing(interpreter: str) -> str:
    """One sentence for whoever wants MPI where `find` finds none."""
    others = sorted(set(_candidates(interpreter)))
    found = (
        f"{' and '.join(others)} is neither" if others else "there is none on PATH or beside the interpreter"
    )
    return (
        f"distributed_training: mpi needs mpirun of Open MPI 4 or 5, and {found}; "
        "apt-get install openmpi-bin, or pip install 'airflow-train[mpi]'."
    )


def in_words(interpreter: str) -> str:
    """What `find` finds, for people."""
    found = find(interpreter)
    return missing(interpreter) if found is None else f"Open MPI {found.major}, {found.path}"


def _candidates(interpreter: str) -> Iterator[str]:
    on_path = shutil.which("mpirun")
    beside = [
        str(Path(python).absolute().with_name("mpirun"))
        for python in (shutil.which(interpreter) or interpreter, sys.executable)
    ]
    for path in (beside[0], os.path.abspath(on_path) if on_path else "", beside[1]):
        if os.access(path, os.X_OK):
            yield path


@cache
def _major(path: str) -> int:
    """Major version of Open MPI; 0 for another MPI's mpirun and one that doesn't answer."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, errors="replace", check=False, timeout=10
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\(Open MPI\) (\d+)\.", said)
    return int(found.group(1)) if found else 0


def command_line(mpirun: Mpirun, ranks: int, wrapper: Sequence[str]) -> list[str]:
    """What starts the wrapper of every rank; the supervisor fills in the session folder."""
    options = {**_ALWAYS, **_BY_MAJOR[mpirun.major]}
    flags = [
        part
        for name, value in options.items()
        for part in ("--prtemca" if name.startswith("prte_") else "--mca", name, value)
    ]
    root = ["--allow-run-as-root"] if mpirun.as_root else []
    placing = ["-n", str(ranks), "--oversubscribe", "--bind-to", "none"]
    return [mpirun.path, *root, *placing, *flags, *wrapper]
