"""What a small run has left, as its container's last words say it (`runtime/parcel.py`)."""

from __future__ import annotations

import binascii

from airflow_train.runtime import protocol
from airflow_train.targets.docker import admission


def read(said: bytes) -> dict[str, bytes] | None:
    """Names below the folder of the run, with a `/` at the end of folders, and contents; None without a whole parcel.

    :param said: what a container has said.
    """
    _, found, words = said.rpartition(b"\n" + protocol.PARCEL + b" ")
    fields = words.split(b"\n", 1)[0].split(b" ")
    if not found or len(fields) != 3:
        return None
    try:
        size, check, body = int(fields[0]), int(fields[1]), binascii.a2b_base64(fields[2])
    except ValueError:
        return None
    if len(body) != size or binascii.crc32(body) != check:
        return None
    pieces = admission.pieces(body)
    return None if pieces is None else dict(pieces)
