"""What tests of secrets share: values that no test says otherwise, and an eye for where they turn up."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from urllib.parse import quote

from airflow_train.runtime import protocol
from tests.targets.lab import processes_of

#: Characters that URLs, JSON, regular expressions and shells give a meaning.
SECRET = "hün+ter2 s/cr\"t\\'&%$.*"
#: A key of several lines, as connections keep them.
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAA\n-----END KEY-----\n"


def spellings(value: str) -> list[bytes]:
    """The value in every form in which a file may hold it."""
    data = value.encode()
    texts = [value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]]
    texts += [quote(value), quote(value, safe=""), *(line for line in value.splitlines() if len(line) > 7)]
    return [*(text.encode() for text in texts), base64.b64encode(data).rstrip(b"=")]


def shown_in(folder: Path, *values: str) -> list[str]:
    """Files below a folder whose name or content shows one of the values."""
    found = []
    forms = [form for value in values for form in spellings(value)]
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if any(form in content or form in os.fsencode(path) for form in forms):
            found.append(str(path))
    return found


def processes_showing(run_id: str, *values: str) -> list[str]:
    """Processes of a run that show one of the values in command line or environment, but for scripts and theirs."""
    forms = [value.encode() for value in values]
    found = []
    for pid, line in processes_of(run_id):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()  # last: it may become a script meanwhile
        except OSError:  # it has ended
            continue
        script = b"train.py" in command or f"{protocol.RANK}=".encode() in environment
        if not script and any(form in command + environment for form in forms):
            found.append(line)
    return found
