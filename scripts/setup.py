"""Makes `.venv` ready: every tool, the package itself (editable) and its console script, all from the lock.

`make setup` runs it with any Python 3.11 to 3.14; neither pip nor venv has to be there. Nothing happens when
`.venv` already is what the lock, the project file and the interpreter ask for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import get_uv

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "dev.txt"
VENV = ROOT / ".venv"
STAMP = VENV / ".airflow-train-ready"
SUPPORTED = ((3, 11), (3, 14))


def main() -> int:
    """Bring `.venv` up to date; the exit code for the shell."""
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        found = ".".join(map(str, sys.version_info[:3]))
        print(
            f"Set-up needs Python 3.11 to 3.14 but {sys.executable} is {found}; name another: make PYTHON=python3.13",
            file=sys.stderr,
        )
        return 2
    wanted = _wanted()
    if _is_ready(wanted):
        return 0
    began = time.monotonic()
    print("Setting up .venv from requirements/dev.txt (once, until the lock changes) …", flush=True)
    try:
        _build(wanted)
    except (get_uv.Unavailable, subprocess.CalledProcessError) as error:
        print(f"Set-up failed: {error}", file=sys.stderr)
        return 1
    print(
        f"Ready in {time.monotonic() - began:.0f} s: .venv/bin/airflow-train and every tool are there.",
        flush=True,
    )
    return 0


def _wanted() -> str:
    """Digest of everything that decides what `.venv` holds, and where it stands: its scripts name their own path."""
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix}".encode())
    for path in (LOCK, ROOT / "pyproject.toml", Path(__file__), Path(get_uv.__file__)):
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()}\n{ROOT}\n"


def _is_ready(wanted: str) -> bool:
    tools = (VENV / "bin" / "python", VENV / "bin" / "airflow-train")
    return STAMP.is_file() and STAMP.read_text() == wanted and all(tool.exists() for tool in tools)


def _build(wanted: str) -> None:
    environment = _uv_environment()
    uv = get_uv.find(LOCK, environment)
    python = str(VENV / "bin" / "python")
    moved = STAMP.is_file() and str(ROOT) not in STAMP.read_text().splitlines()
    STAMP.unlink(missing_ok=True)
    if moved or not _runs_same_python(python):
        shutil.rmtree(VENV, ignore_errors=True)
        _run([uv, "venv", "--quiet", "--python", _base_python(), str(VENV)], environment)
    # Without .pyc files importing Airflow takes up to 40 times as long.
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", "--python", python]
    _run([*sync, str(LOCK)], environment)
    # The build backend is in the lock too: nothing is fetched past it.
    editable = [uv, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--python", python]
    _run([*editable, "--editable", str(ROOT)], environment)
    STAMP.write_text(wanted)


def _base_python() -> str:
    """The interpreter below a virtual environment, so that `.venv` can be renewed from inside itself."""
    return getattr(sys, "_base_executable", None) or sys.executable


def _runs_same_python(python: str) -> bool:
    try:
        answer = subprocess.run(
            [python, "-c", "import sys; print(sys.version)"], check=False, capture_output=True, text=True
        )
    except OSError:
        return False
    return answer.stdout.rstrip("\n") == sys.version


def _uv_environment() -> dict[str, str]:
    """Our environment, with pip's index and certificate said in uv's words where uv has none of its own."""
    environment = {
        name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "UV_PYTHON"}
    }
    settings = get_uv.pip_settings()
    own_index = any(os.environ.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE"))
    if "index-url" in settings and not own_index:
        environment["UV_DEFAULT_INDEX"] = settings["index-url"]
    if "cert" in settings:
        environment.setdefault("SSL_CERT_FILE", settings["cert"])
    return environment


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, env=environment, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
