"""Entry point of the zipapp: `runtime.pyz node|container|collect LAUNCH.json`, `runtime.pyz compile ZIPAPP`.

`node` returns at once: the supervisor goes on as a daemon in a session of its own, so that nothing that happens to
whoever started it reaches it. `container` is the same supervisor as the first process of a container: it stays, and
when it is started again it finishes what the first start left. `compile` prints byte code of a zipapp.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Run one command; the exit code is 2 for a command line or launch file that isn't understood."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("node", "container", "collect", "compile"):
        print(
            "usage: runtime.pyz node|container|collect LAUNCH.json, runtime.pyz compile ZIPAPP",
            file=sys.stderr,
        )
        return 2
    if sys.argv[1] == "node":
        if os.fork():
            os._exit(0)
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, [])  # whoever submits may have blocked what we live on
    if sys.argv[1] == "compile":
        from airflow_train.runtime import compiling

        return compiling.main(sys.argv[2])
    from airflow_train.runtime import supervisor

    commands = {
        "node": supervisor.main,
        "container": supervisor.in_container,
        "collect": supervisor.collect_again,
    }
    code = commands[sys.argv[1]](sys.argv[2])
    if sys.argv[1] == "container":
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # whoever waits for the container needn't wait until Python has put everything away
    return code


if __name__ == "__main__":
    sys.exit(main())
