"""Notebooks as entry scripts: what has to be there for nbconvert to run one."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

#: Exits with 3 where a package is missing.
_ASK = "import sys, importlib.util as u; sys.exit(0 if u.find_spec('nbconvert') and u.find_spec('ipykernel') else 3)"


def check(job: Mapping[str, Any], interpreter: str) -> list[str]:
    """Everything that keeps a notebook from running under `interpreter`, one sentence each."""
    name = job["entry_script"]
    problems = []
    if job["distribution"]:
        problems.append(
            f"entry_script {name!r} is a notebook, which can't be one of several processes; leave distributed_training "
            "out."
        )
    if subprocess.call([interpreter, "-c", _ASK], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        problems.append(
            f"entry_script {name!r} is a notebook, and {interpreter} has no nbconvert and ipykernel to run it; "
            "`pip install nbconvert ipykernel` there."
        )
    return problems
