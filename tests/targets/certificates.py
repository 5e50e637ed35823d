"""Certificates that live for a day: one authority, an engine and a client that it vouches for."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


def make(folder: Path, *names: str) -> Path:
    """`ca.pem`, and `cert.pem` and `key.pem` for a client, in `folder`; those of the engine are called `engine`.

    :param names: what the engine's certificate says it is called, such as `IP:127.0.0.1`.
    """
    folder.mkdir(parents=True)
    _openssl(folder, "ca", "authority-key", "-subj", "/CN=authority")
    signed = ["-CA", "ca.pem", "-CAkey", "authority-key.pem"]
    said = ["-addext", f"subjectAltName={','.join(names)}"]
    _openssl(folder, "engine", "engine-key", "-subj", "/CN=engine", *said, *signed)
    _openssl(folder, "cert", "key", "-subj", "/CN=client", *signed)
    return folder


def server(folder: Path) -> ssl.SSLContext:
    """What the engine shows, to clients that the authority vouches for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "engine.pem", folder / "engine-key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _openssl(folder: Path, certificate: str, key: str, *more: str) -> None:
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", f"{key}.pem", "-out", f"{certificate}.pem"]
    command = ["openssl", "req", "-x509", "-days", "1", *kind, *files, *more]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
