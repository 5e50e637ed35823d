"""Run ids: derived where something names the attempt, drawn where nothing does."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,60}\Z")
_DAG_RUN_ID = re.compile(r"[a-z]+(_[a-z]+)*__")


def slug(name: str) -> str:
    """A name cut down to what ids are made of: 24 lower-case letters, digits and dashes at most."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:24].strip("-") or "run"


def _join(name: str, digest: bytes) -> str:
    return f"{slug(name)}-{base64.b32encode(digest).decode().rstrip('=').lower()}"


def derived(name: str, token: str) -> str:
    """Run id of the attempt that `token` names, e.g. Airflow's task instance id; always the same for the same token.

    :param name: what people recognise, e.g. the task id; only decoration.
    """
    try:
        material = uuid.UUID(token).bytes
    except ValueError:
        material = token.encode()
    return _join(name, hashlib.blake2b(material, digest_size=8).digest())


def drawn(name: str) -> str:
    """A new run id. Unique by 64 random bits, and made sure of by exclusive creation in the store."""
    return _join(name, uuid.uuid4().bytes[:8])


def problem(run_id: str) -> str | None:
    """Why a text can't be a run id, as one sentence with the mend; None when it can."""
    if _DAG_RUN_ID.match(run_id):
        return (
            f"{run_id!r} is the id of a DAG run, not of a training run; "
            "use the XCom of the training task, e.g. run_id=train.output['run_id']."
        )
    if not _ID.match(run_id):
        return (
            f"{run_id!r} is not a run id (lower-case letters, digits and dashes); "
            "`airflow-train runs list` shows them."
        )
    return None
