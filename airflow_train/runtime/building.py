"""The environment of a run: held so that nobody removes it, and built where it isn't there.

Building is another program's work, as it takes more than the standard library; what it must leave is said in
`protocol.py`. It dies with this process, and with it whatever it has started.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import time

from airflow_train.runtime import phases, processes, protocol, records, staging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

#: Seconds between two looks at the builder, and at a lock that somebody else has.
LOOK = 0.05


class NotBuilt(staging.NotLaidOut):
    """There is no environment; the message is half a sentence, `reason` the verdict's."""

    def __init__(self, message: str, reason: str = "infrastructure") -> None:
        super().__init__(message)
        self.reason = reason


def environment(
    launch: dict[str, Any], folder: str, now: phases.Phases, tick: Callable[[str], None]
) -> dict[str, Any]:
    """Hold the environment of a launch file, and build it where it isn't there.

    :param folder: of the node.
    :param tick: called often; may raise, which ends the builder.
    :returns: parts of the launch file that hang on what was built.
    :raises NotBuilt: there is none.
    """
    build = launch["build"]
    _hold(build["lock"], tick)
    if build["ready"] and os.path.exists(build["interpreter"]):
        return {}
    now.enter("build", build["reason"])
    return _built(launch, folder, tick)


def _hold(path: str, tick: Callable[[str], None]) -> None:
    """Take the lock of an environment, shared with all who use it; the end of this process gives it back."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        while True:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(lock)):
                    os.utime(lock)
                    return
            except BlockingIOError:  # somebody removes the environment
                pass
            os.close(lock)
            tick("")
            time.sleep(LOOK)
    except OSError as error:
        raise NotBuilt(
            "the environment's lock %s can't be taken: %s; look at its permissions, or name another folder by [train] "
            "environments" % (path, error.strerror or error)
        ) from error


def _built(launch: dict[str, Any], folder: str, tick: Callable[[str], None]) -> dict[str, Any]:
    parent = os.getpid()
    builder = subprocess.Popen(
        launch["build"]["command"],
        stdin=subprocess.DEVNULL,
        env={**os.environ, protocol.RUN_ID: launch["run_id"]},  # by which whoever looks next finds it
        cwd="/",
        preexec_fn=lambda: processes.die_with_parent(parent),  # noqa: PLW1509 - no thread runs here
    )
    try:
        while builder.poll() is None:
            tick("")
            time.sleep(LOOK)
    finally:
        if builder.poll() is None:
            builder.kill()
            builder.wait()
    result = records.read(os.path.join(folder, protocol.BUILT_FILE))
    if result is None:
        raise NotBuilt(
            "the builder of the environment ended with code %d without a word" % builder.returncode
        )
    if result["error"] is not None:
        raise NotBuilt(result["error"], result["reason"])
    return {"mpirun": result["mpirun"]}


def used(launch: dict[str, Any]) -> None:
    """Note that a run has used its environment until now."""
    with records.tolerated("sign of use of the environment"):
        os.utime(launch["build"]["lock"])
