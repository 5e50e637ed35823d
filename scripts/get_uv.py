"""Finds `uv`, or gets the version and hashes that the lock names: by pip, and where pip is missing by hand.

Debian's python3 has neither pip nor ensurepip, so the last way needs nothing but the standard library. Index and
certificate are the ones pip is configured with.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

OLDEST = (0, 9)
PUBLIC_INDEX = "https://pypi.org/simple"


class Unavailable(Exception):
    """uv can't be had; the message says what was tried."""


def find(lock: Path, environment: dict[str, str]) -> str:
    """Path of a uv: the one on PATH, else the cached one, else a fresh one of the lock's version.

    :raises Unavailable: none is there and none can be fetched.
    """
    version, hashes = _locked(lock)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cached = cache / "airflow-train" / f"uv-{version}" / "uv"
    for candidate in (shutil.which("uv"), str(cached)):
        if candidate and _version(candidate) >= OLDEST:
            return candidate
    failures = []
    for fetch in (_by_pip, _by_hand):
        try:
            with tempfile.TemporaryDirectory() as folder:
                program = fetch(version, hashes, Path(folder), environment)
                return _keep(program, cached)
        except (OSError, ValueError, Unavailable) as error:
            failures.append(str(error))
    raise Unavailable(
        f"uv {version} is neither on PATH nor can it be fetched ({'; '.join(failures)}); install uv, then try again."
    )


def pip_settings() -> dict[str, str]:
    """`index-url` and `cert` as pip would see them; a variable beats the user's file, that beats the machine's."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    files = [Path("/etc/pip.conf"), Path.home() / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read([*files, os.environ.get("PIP_CONFIG_FILE") or os.devnull], encoding="utf-8")
    found = {}
    for option in ("index-url", "cert"):
        values = [parser.get(section, option, fallback="") for section in ("install", "global")]
        values.insert(0, os.environ.get("PIP_" + option.upper().replace("-", "_"), ""))
        if value := next(filter(None, values), None):
            found[option] = value
    return found


def _locked(lock: Path) -> tuple[str, frozenset[str]]:
    block = re.search(r"^uv==(\S+)[^\n]*\\\n((?:\s+--hash=\S+[ \\]*\n)+)", lock.read_text(), re.MULTILINE)
    if block is None:
        raise Unavailable(f"{lock} names no uv")
    return block[1], frozenset(re.findall(r"sha256:([0-9a-f]{64})", block[2]))


def _version(program: str) -> tuple[int, ...]:
    try:
        answer = subprocess.run(
            [program, "--version"], check=False, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    numbers = re.match(r"uv (\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, numbers.groups())) if numbers else ()


def _keep(program: Path, cached: Path) -> str:
    """Move the program to its place in one step, so that two set-ups at once don't disturb each other."""
    cached.parent.mkdir(parents=True, exist_ok=True)
    aside = cached.with_name(f"uv.{os.getpid()}")
    shutil.copyfile(program, aside)
    aside.chmod(0o755)
    aside.replace(cached)
    return str(cached)


def _by_pip(version: str, hashes: frozenset[str], folder: Path, environment: dict[str, str]) -> Path:
    wanted = folder / "uv.txt"
    wanted.write_text(
        f"uv=={version} " + " ".join(f"--hash=sha256:{value}" for value in sorted(hashes)) + "\n"
    )
    options = [
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
        "--target",
        str(folder / "uv"),
    ]
    command = [sys.executable, "-m", "pip", "install", *options, "-r", str(wanted)]
    answer = subprocess.run(
        command, env=environment | {"PIP_USER": "0"}, check=False, capture_output=True, text=True
    )
    if answer.returncode:
        raise Unavailable("pip: " + (answer.stderr.strip().splitlines() or ["failed"])[-1])
    return folder / "uv" / "bin" / "uv"


def _by_hand(version: str, hashes: frozenset[str], folder: Path, _environment: dict[str, str]) -> Path:
    settings = pip_settings()
    index = os.environ.get("UV_DEFAULT_INDEX") or settings.get("index-url") or PUBLIC_INDEX
    trust = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or settings.get("cert"))
    page = f"{index.rstrip('/')}/uv/"
    for name, address in _files(page, trust):
        if name.startswith(f"uv-{version}-") and name.endswith(".whl") and _fits(name):
            wheel = folder / name
            wheel.write_bytes(_get(urllib.parse.urljoin(page, address), trust)[0])
            if hashlib.sha256(wheel.read_bytes()).hexdigest() not in hashes:
                raise Unavailable(f"{name} is not the file that the lock names")
            with zipfile.ZipFile(wheel) as archive:
                return Path(archive.extract(f"uv-{version}.data/scripts/uv", folder))
    raise Unavailable(f"the package index has no uv {version} for {platform.platform()}")


def _files(page: str, trust: ssl.SSLContext) -> list[tuple[str, str]]:
    """(name, address) of every file on a page of a package index, which speaks JSON or HTML."""
    body, kind = _get(page, trust)
    if "json" in kind:
        return [(file["filename"], file["url"]) for file in json.loads(body)["files"]]
    found = re.findall(r'<a [^>]*href="([^"#]+)[^>]*>\s*([^<\s]+)\s*</a>', body.decode())
    return [(name, address) for address, name in found]


def _get(address: str, trust: ssl.SSLContext) -> tuple[bytes, str]:
    accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.1, */*;q=0.01"
    request = urllib.request.Request(address, headers={"Accept": accept, "User-Agent": "airflow-train-setup"})
    with urllib.request.urlopen(request, timeout=180, context=trust) as answer:
        return answer.read(), answer.headers.get("Content-Type", "")


def _fits(wheel: str) -> bool:
    """Whether a wheel's platform tag is this machine's (uv's wheels hold a program, so Python's tag says nothing)."""
    machine = platform.machine()
    tags = wheel.removesuffix(".whl").rsplit("-", 1)[1].split(".")
    if sys.platform == "darwin":
        return any(tag.startswith("macosx_") and tag.endswith(machine) for tag in tags)
    libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    return any(tag.startswith(libc) and tag.endswith(f"_{machine}") for tag in tags)


if __name__ == "__main__":
    try:
        print(find(Path(sys.argv[1]), dict(os.environ)))
    except Unavailable as error:
        sys.exit(str(error))
