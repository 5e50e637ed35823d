"""Byte code of the runtime, as the zipapp has it beside its sources, for the Python that runs this."""

from __future__ import annotations

import binascii
import importlib.util
import json
import marshal
import sys
import zipfile

#: Flags of byte code that is never compared with its source (PEP 552).
_UNCHECKED_HASH = (1).to_bytes(4, "little")


def compiled(source: bytes, name: str) -> bytes:
    """What a `.pyc` of this Python holds.

    :param name: of the source, as tracebacks show it.
    """
    code = compile(source, name, "exec", dont_inherit=True)
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
    return head + marshal.dumps(code)


def main(path: str) -> int:
    """Print byte code of every module in a zipapp: JSON of the magic number and of names, both in base64."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py")]
        found = {name: _base64(compiled(archive.read(name), name)) for name in names}
    json.dump({"magic": _base64(importlib.util.MAGIC_NUMBER), "code": found}, sys.stdout)
    return 0


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")
