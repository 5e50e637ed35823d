"""What a small run has left, as its container's last words say it (`runtime/parcel.py`)."""

from __future__ import annotations

import binascii
import json

from airflow_train.runtime import protocol


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
    head, _, data = body.partition(b"\n")
    contents, at = {}, 0
    for name, _, length in json.loads(head)["pieces"]:
        contents[name] = data[at : at + length]
        at += length
    return contents
