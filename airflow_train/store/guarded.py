"""Files of a run on a local store, reached by no link.

A node that shares the store writes its run's folder itself, and may be in a container that sees nothing else of this
machine. A link that its script leaves there would lead whoever looks from outside to files that the script can't see,
and what is written for the run to folders that it can't write. So below a run's folder links lead nowhere.

The kernel says where a file really lies, once it is open: no link that comes and goes meanwhile slips through.
"""

from __future__ import annotations

import errno
import os

_RUNS = "runs/"
_READ = os.O_RDONLY | os.O_CLOEXEC
#: A pipe without a writer would be waited for.
_NO_LINK = os.O_NOFOLLOW | os.O_NONBLOCK


def is_guarded(name: str) -> bool:
    """Is this name below the folder of a run?"""
    return name.startswith(_RUNS) and name.count("/") > 1


def opened(path: str, name: str) -> int:
    """Descriptor to read a file or folder.

    :param name: the path below the store.
    :raises FileNotFoundError: it isn't there, or is reached by a link.
    """
    if not is_guarded(name):
        return os.open(path, _READ)
    try:
        descriptor = os.open(path, _READ | _NO_LINK)
        if _is_there(descriptor, name):
            return descriptor
        os.close(descriptor)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def check(descriptor: int, name: str) -> None:
    """See to it that a file which is being written beside its name lies where the name says.

    :raises OSError: it doesn't.
    """
    if is_guarded(name) and not _is_there(descriptor, name.rpartition("/")[0], beside=True):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _is_there(descriptor: int, name: str, *, beside: bool = False) -> bool:
    """Does an open file lie where its name says, or in the folder of that name?"""
    try:
        real = os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:  # a system without /proc
        return True
    real = real.removesuffix(" (deleted)")  # replaced meanwhile
    return (real.rpartition("/")[0] if beside else real).endswith(name.removeprefix(_RUNS[:-1]))
