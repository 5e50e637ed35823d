"""All that a small run has left, as the last words of its container.

An engine needs a tenth of a second to hand out a folder, and a few milliseconds to repeat what a container has said.
The words are one line, `<mark> <bytes> <CRC-32> <base64>`; decoded, they are a segment as `channel.py` has them, with
a name that ends in `/` for every folder. Whoever finds no such line, or a damaged one, fetches the folder.
"""

from __future__ import annotations

import binascii
import json
import os

from airflow_train.runtime import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Most bytes of a run that is sent so; the engine keeps the last megabyte of what a container says.
MOST = 256 << 10


def send(folder: str, descriptor: int) -> bool:
    """Write a folder to a descriptor; False when it is too large, or holds more than files and folders."""
    index: list[list[Any]] = []
    contents: list[bytes] = []
    left = MOST
    for place, folders, names in os.walk(folder):
        index += [[os.path.relpath(os.path.join(place, name), folder) + "/", 0, 0] for name in folders]
        for name in names:
            path = os.path.join(place, name)
            left -= os.lstat(path).st_size + len(path)
            if left < 0 or os.path.islink(path) or not os.path.isfile(path):
                return False
            with open(path, "rb") as file:
                contents.append(file.read())
            index.append([os.path.relpath(path, folder), 0, len(contents[-1])])
    body = json.dumps({"pieces": index}).encode() + b"\n" + b"".join(contents)
    head = b"\n%s %d %d " % (protocol.PARCEL, len(body), binascii.crc32(body))
    words = memoryview(head + binascii.b2a_base64(body))
    while words:
        words = words[os.write(descriptor, words) :]
    return True
