"""`make setup` on a machine without uv and without pip: the standard library fetches uv from the configured index."""

from __future__ import annotations

import functools
import hashlib
import http.server
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = b"#!/bin/sh\necho uv 9.9.9\n"
PLATFORMS = ("manylinux_2_17_x86_64", "manylinux_2_17_aarch64", "musllinux_1_1_x86_64", "macosx_11_0_arm64")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A package index on this machine with one version of uv; yields its address and a lock of what it holds."""
    folder = tmp_path / "index" / "uv"
    folder.mkdir(parents=True)
    for platform in PLATFORMS:
        with zipfile.ZipFile(folder / f"uv-9.9.9-py3-none-{platform}.whl", "w") as wheel:
            wheel.writestr("uv-9.9.9.data/scripts/uv", PROGRAM)
    wheels = sorted(folder.glob("*.whl"))
    folder.joinpath("index.html").write_text(
        "".join(f'<a href="{one.name}#sha256=0">{one.name}</a>\n' for one in wheels)
    )
    digests = [hashlib.sha256(one.read_bytes()).hexdigest() for one in wheels]
    lock = (
        "uv==9.9.9 \\\n"
        + " \\\n".join(f"    --hash=sha256:{digest}" for digest in digests)
        + "\n    # via nobody\n"
    )

    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(folder.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", lock
        server.shutdown()


def test_uv_is_fetched_without_pip_and_kept_for_the_next_time(
    index: tuple[str, str], repository: Path, tmp_path: Path
) -> None:
    address, lock = index
    first = _find_uv(repository, tmp_path, address, lock)
    again = _find_uv(repository, tmp_path, "http://127.0.0.1:9", lock)

    kept = tmp_path / "home" / ".cache" / "airflow-train" / "uv-9.9.9" / "uv"
    assert (first.stdout.strip(), first.returncode) == (str(kept), 0), first.stderr
    assert again.stdout == first.stdout
    assert kept.read_bytes() == PROGRAM


def test_a_uv_that_the_lock_does_not_name_is_refused(
    index: tuple[str, str], repository: Path, tmp_path: Path
) -> None:
    address, _ = index
    answer = _find_uv(repository, tmp_path, address, f"uv==9.9.9 \\\n    --hash=sha256:{'0' * 64}\n")

    assert answer.returncode == 1
    assert "is not the file that the lock names" in answer.stderr


def _find_uv(repository: Path, tmp_path: Path, index: str, lock: str) -> subprocess.CompletedProcess[str]:
    """Look for uv in a process that has no uv on PATH and whose `python -m pip` fails."""
    home, no_pip, lock_file = tmp_path / "home", tmp_path / "no-pip", tmp_path / "lock.txt"
    for folder in (home, no_pip):
        folder.mkdir(exist_ok=True)
    no_pip.joinpath("pip.py").write_text("raise SystemExit('No module named pip')")
    lock_file.write_text(lock)
    environment = {"HOME": str(home), "PATH": "", "PYTHONPATH": str(no_pip), "PIP_INDEX_URL": index}
    command = [sys.executable, str(repository / "scripts" / "get_uv.py"), str(lock_file)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
