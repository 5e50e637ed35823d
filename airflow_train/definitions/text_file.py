"""Reading a small text file that somebody names: never a device, a pipe, or more than enough."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from airflow_train.exceptions import DefinitionError

#: Largest definition, conda or requirements file in bytes.
MAX_BYTES = 1_000_000


def path_of(name: str, value: object) -> Path:
    """A file that `Environment` is given as the parameter of that name.

    :raises DefinitionError: it is no path.
    """
    from airflow_train.definitions.values import shown

    if not isinstance(value, (str, os.PathLike)):
        raise DefinitionError(f"Environment: {name} is {shown(value)} but must be a path; write it as text.")
    return Path(value)


def text_of_file(path: Path, what: str) -> str:
    """The text of a file that somebody names, without waiting for anything and without reading more than enough.

    :param what: what the file must be, for messages.
    :raises DefinitionError: it is no such file, too large, or no UTF-8 text.
    """
    try:
        data = _bytes(path, what)
    except FileNotFoundError:
        raise DefinitionError(f"{path}: there is no such file; {_neighbours(path)}") from None
    except IsADirectoryError:
        raise DefinitionError(f"{path}: this is a folder but must be {what}; name the file in it.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DefinitionError(
            f"{path}: the file can't be read ({why}); correct the path or its permissions."
        ) from error
    if len(data) > MAX_BYTES:
        raise DefinitionError(
            f"{path}: the file is larger than {MAX_BYTES} bytes; name the right file, as this is longer than any."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DefinitionError(
            f"{path}:{line}: byte {error.start} is {data[error.start]:#04x}, which isn't UTF-8; save the file as UTF-8."
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DefinitionError(f"{path}:{line}: the file contains a NUL character; save it as UTF-8 text.")
    return text


def _bytes(path: Path, what: str) -> bytes:
    """The file's beginning, one byte more than it may have."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not keep us waiting
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):
            kind = "pipe" if stat.S_ISFIFO(mode) else "device"
            raise DefinitionError(
                f"{path}: this is a {kind} but must be {what}, as it is read more than once; write it to a file."
            )
        data = b""
        while len(data) <= MAX_BYTES and (part := os.read(descriptor, MAX_BYTES + 1 - len(data))):
            data += part
        return data
    finally:
        os.close(descriptor)


def _neighbours(path: Path) -> str:
    from airflow_train.definitions.values import nearest

    try:
        names = [each.name for each in path.parent.iterdir() if each.suffix in {".yaml", ".yml"}]
    except OSError:
        return f"the folder {path.parent} is missing too."
    close = nearest(path.name, names)
    return f"did you mean {path.parent / close}?" if close else "correct the path."
