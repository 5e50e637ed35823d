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
    """Copy a file or a folder, to be read only; links are copied as what they show. Returns the number of files.

    :param tick: told how far it has come; may raise.
    :raises FileNotFoundError: there is nothing at `source` any more.
    """
    os.stat(source)
    if os.path.isfile(source):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _copy_file(source, target, tick, 0)
        return 1
    count, seen = 0, set()
    for folder, below, names in os.walk(source, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link leads back
            below[:] = []
            continue
        seen.add(real)
        place = os.path.join(target, os.path.relpath(folder, source))
        os.makedirs(place, exist_ok=True)
        for name in sorted(names):
            if os.path.isfile(os.path.join(folder, name)):
                _copy_file(os.path.join(folder, name), os.path.join(place, name), tick, count)
                count += 1
    return count


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
