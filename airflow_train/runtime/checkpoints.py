"""Files of an earlier run on their way to a script: copied, so that nothing the script does reaches the originals."""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

#: Linux's request to let two files share their blocks until one changes (ioctl FICLONE of fs.h).
_CLONE = 0x40049409
_PIECE = 4 << 20


def copy(source: str, target: str, tick: Callable[[str], None]) -> int:
    """Copy a file or a folder, to be read only. Returns the number of files.

    Links are copied as what they show; a folder that has several names is copied once and linked by the others.

    :param tick: told how far it has come; may raise.
    :raises OSError: there is nothing at `source` any more, or a part of it can't be read.
    """
    os.stat(source)
    if os.path.isfile(source):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _copy_file(source, target, tick, 0)
        return 1
    count = 0
    copies = {os.path.realpath(target): target}  # in case a link of the source leads to it
    for folder, below, names in os.walk(source, followlinks=True, onerror=_refuse):
        real = os.path.realpath(folder)
        place = os.path.normpath(os.path.join(target, os.path.relpath(folder, source)))
        if real in copies:
            os.symlink(os.path.relpath(copies[real], os.path.dirname(place)), place)
            below[:] = []
            continue
        copies[real] = place
        os.makedirs(place, exist_ok=True)
        for name in sorted(names):
            if os.path.isfile(os.path.join(folder, name)):
                _copy_file(os.path.join(folder, name), os.path.join(place, name), tick, count)
                count += 1
    return count


def _refuse(error: OSError) -> None:
    raise error


def _copy_file(source: str, target: str, tick: Callable[[str], None], count: int) -> None:
    with open(source, "rb") as old, open(target, "xb") as new:
        try:
            fcntl.ioctl(new.fileno(), _CLONE, old.fileno())
        except OSError:  # another disk, or one that can't
            while True:
                piece = old.read(_PIECE)
                if not piece:
                    break
                new.write(piece)
                tick("%d files of checkpoints so far" % count)
        os.chmod(new.fileno(), 0o444)
    tick("%d files of checkpoints so far" % (count + 1))
