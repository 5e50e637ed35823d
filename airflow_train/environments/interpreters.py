"""Which Python a virtual environment is made of: what is there, else any that pyenv or uv finds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from airflow_train.exceptions import UnsupportedByTarget


def find(version: str | None, there: str) -> str:
    """Path of an interpreter.

    :param version: wanted, such as `3`, `3.11` or `3.11.7`; None for the one that is there.
    :param there: path or name of the one that is used where nothing else is asked for.
    :raises UnsupportedByTarget: there is none of that version.
    """
    if version is None or _is(version_of(there), version):
        return there
    for path in _of_pyenv(version):
        if os.access(path, os.X_OK):
            return path
    found = _of_uv(version)
    if found is None:
        raise UnsupportedByTarget(
            f"Python {version} is wanted and neither pyenv nor uv finds one on this machine; `uv python install "
            f"{version}` or `pyenv install {version}`, or ask for another version."
        )
    return found


def uv() -> str:
    """Path of uv: that of the package, which airflow-train depends on, else one on PATH.

    :raises UnsupportedByTarget: there is none.
    """
    try:
        from uv import find_uv_bin

        return os.fspath(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise UnsupportedByTarget(
            "packages are installed by uv, which is gone from this Python; `pip install uv`."
        )
    return found


def _is(found: str, wanted: str) -> bool:
    return f"{found}.".startswith(f"{wanted}.")


@cache
def version_of(python: str) -> str:
    """Version of an interpreter; empty when it doesn't say."""
    if python == sys.executable:
        return ".".join(map(str, sys.version_info[:3]))
    ask = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    try:
        answer = subprocess.run(
            [python, "-I", "-c", ask], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()


def _pyenv() -> Path:
    return Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()


def _of_pyenv(version: str) -> Iterator[str]:
    """Interpreters of pyenv, newest first."""
    try:
        names = os.listdir(_pyenv() / "versions")
    except OSError:
        return
    fitting = [name for name in names if re.fullmatch(r"[\d.]+", name) and _is(name, version)]
    for name in sorted(fitting, key=lambda one: [int(part) for part in one.split(".") if part], reverse=True):
        yield str(_pyenv() / "versions" / name / "bin" / "python")


def _of_uv(version: str) -> str | None:
    """What uv finds, on PATH or among its own; pyenv's stand-ins on PATH would only confuse it."""
    shims = os.fspath(_pyenv() / "shims")
    folders = [one for one in os.get_exec_path() if os.path.normpath(one) != shims]
    command = [uv(), "python", "find", "--no-python-downloads", "--no-project", "--system", version]
    answer = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": os.pathsep.join(folders)},
        cwd="/",
    )
    return answer.stdout.strip() if answer.returncode == 0 else None
