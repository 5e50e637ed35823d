"""Runs a training script as one rank of MPI: `python train_mpi.py train.py ARGUMENTS`, the same as without it, but …

mpi4py ends MPI when Python ends, and that waits for all other ranks. One that has failed would wait for ranks that wait
for it, and nobody would ever hear of the failure. Here a rank that has failed ends at once; and one whose MPI has never
met the others, because it isn't the MPI of that mpirun, has failed.

Python that an author's own command starts is watched over too, by `on_start/sitecustomize.py`. There an exception ends
the rank; that `sys.exit(3)` was called nobody can see before MPI waits.
"""

from __future__ import annotations

import atexit
import os
import sys
import types
from typing import Any

_PLANNED = os.environ.get("OMPI_COMM_WORLD_SIZE")


def main() -> None:
    """Run the script that the command line names; leaves with its exit code."""
    del sys.argv[0]
    script = sys.argv[0]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    module = types.ModuleType("__main__")
    module.__file__ = script
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = module
    try:
        with open(script, "rb") as file:
            code = compile(file.read(), script, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - that is the job
    except SystemExit as leaving:
        if leaving.code is not None and leaving.code != 0:
            _leave_mpi(_said(leaving.code))
        _check_world()
        raise
    except BaseException as error:  # noqa: BLE001 - reported as Python itself would
        trace = error.__traceback__
        sys.excepthook(type(error), error, trace.tb_next if trace is not None else None)
        exit_code = 130 if isinstance(error, KeyboardInterrupt) else 1
        _leave_mpi(exit_code)
        sys.exit(exit_code)
    _check_world()


def watch_over() -> None:
    """Do what can be done for a script that this module didn't start."""
    show = sys.excepthook

    def show_and_leave(kind: Any, error: Any, trace: Any) -> None:
        show(kind, error, trace)
        _leave_mpi(1)

    sys.excepthook = show_and_leave
    atexit.register(_leave_if_alone)  # the first, which runs last


def _leave_if_alone() -> None:
    if _is_alone():
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(1)


def _check_world() -> None:
    if _is_alone():
        _leave_mpi(1)


def _is_alone() -> bool:
    """Does MPI know another number of ranks than mpirun?"""
    if _mpi_runs():
        size = sys.modules["mpi4py.MPI"].COMM_WORLD.Get_size()
        if _PLANNED is not None and str(size) != _PLANNED:
            print(
                "mpirun started %s ranks, but for this one's MPI the world has %d: its mpi4py belongs to another MPI"
                " than mpirun; install one that fits" % (_PLANNED, size),
                file=sys.stderr,
            )
            return True
    return False


def _said(code: Any) -> int:
    """The exit code that Python makes of what `sys.exit` was given."""
    if isinstance(code, int):
        return code & 0xFF
    if _mpi_runs():
        print(code, file=sys.stderr)
    return 1


def _mpi_runs() -> bool:
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized()


def _leave_mpi(code: int) -> None:
    if _mpi_runs():
        atexit._run_exitfuncs()  # noqa: SLF001 - as Python would, before MPI ends
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
