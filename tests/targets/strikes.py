"""Something that happens at one call to an engine: between "before it" and "after it" lies all that a fault can hit.

python -m tests.targets.strikes submit|look STORE RUN_ID CALL before|after      a worker that is killed there
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from airflow_train import targets
from airflow_train.lifecycle import wait
from airflow_train.store.run_store import open_store
from airflow_train.targets.docker.engine import Engine

#: What a submit asks of an engine, in its order; a look at a run that has ended; one that finishes a killed one.
SUBMIT = ("find_image", "create", "put", "identity", "start")
COLLECT = ("last_words", "remove", "remove_volume")
FINISH = ("start", "wait")


class Strike:
    """Put in place of a method: strikes at the first call."""

    def __init__(self, call: str, moment: str, blow: Callable[[], object], owner: type = Engine) -> None:
        self._real, self._moment, self._blow = getattr(owner, call), moment, blow
        self.struck = False

    def __get__(self, one: Any, _: type) -> Callable[..., Any]:
        return lambda *arguments: self._call(one, *arguments)

    def _call(self, one: Any, *arguments: Any) -> Any:
        if self.struck:
            return self._real(one, *arguments)
        self.struck = True
        if self._moment == "before":
            self._blow()
            return self._real(one, *arguments)
        found = self._real(one, *arguments)
        self._blow()
        return found


def worker(what: str, store_uri: str, run_id: str, call: str, moment: str) -> int:
    """How a worker ended that was to be killed there."""
    command = [sys.executable, "-m", "tests.targets.strikes", what, store_uri, run_id, call, moment]
    return subprocess.run(command, check=False).returncode


def main(what: str, store_uri: str, run_id: str, call: str, moment: str) -> None:
    """Be that worker."""
    setattr(Engine, call, Strike(call, moment, lambda: os.kill(os.getpid(), signal.SIGKILL)))
    store = open_store(store_uri)
    if what == "submit":
        spec = store.spec(run_id)
        targets.get(spec.target).submit(spec, store)
    else:
        wait.wait(store, run_id, poll_interval=0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
