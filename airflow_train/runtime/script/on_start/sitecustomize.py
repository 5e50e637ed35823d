"""What every Python of a rank does first where its run has a use for it.

With a `no_progress_timeout` it gets ready to show its stacks; as part of an author's own command under MPI it is
watched over (`train_mpi.py`).

faulthandler answers a signal from C, without the lock of the interpreter, so that a script which waits in a library
shows its stacks too. The signal is a real-time one that nobody uses, and the answer goes into a file of this process,
at a descriptor that scripts don't get by accident. The file's first line tells whose it is.

Python finds this module by PYTHONPATH before a `sitecustomize` of the user, which it imports in its turn.
"""

from __future__ import annotations

import importlib
import os
import sys


def _get_ready(told: str) -> None:
    import atexit
    import faulthandler
    import fcntl

    number, _, folder = told.partition(":")
    with open("/proc/self/stat", "rb") as file:
        started = file.read().rpartition(b")")[2].split()[19].decode()
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "%d-%s.txt" % (os.getpid(), started))
    low = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 900)
        os.close(low)
    except OSError:  # fewer descriptors are allowed
        descriptor = low
    head = os.write(descriptor, os.fsencode(os.readlink("/proc/self/exe")) + b"\n")
    faulthandler.register(int(number), file=descriptor, all_threads=True, chain=False)
    atexit.register(_leave, path, os.getpid(), head)


def _leave(path: str, pid: int, head: int) -> None:
    """Remove the file of a process that was never asked."""
    if os.getpid() == pid and os.path.exists(path) and os.path.getsize(path) == head:
        os.unlink(path)


def _import_next() -> None:
    """Import the `sitecustomize` that stands behind this one."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [one for one in sys.path if os.path.abspath(one) != here]
    this = sys.modules.pop("sitecustomize")
    try:
        importlib.import_module("sitecustomize")
    except ImportError as error:
        sys.modules["sitecustomize"] = this
        if error.name != "sitecustomize":
            raise


if os.environ.get("AIRFLOW_TRAIN_STACKS"):
    try:
        _get_ready(os.environ["AIRFLOW_TRAIN_STACKS"])
    except (OSError, ValueError, RuntimeError, ImportError):
        pass  # the supervisor will say that this process could not be asked
if os.environ.get("AIRFLOW_TRAIN_WATCHED"):
    import train_mpi

    train_mpi.watch_over()
if __name__ == "sitecustomize":
    _import_next()
