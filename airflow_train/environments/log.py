"""What a builder says, as it says it: into the logs of the run that asked for the environment."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from types import TracebackType
from typing import Self

from airflow_train.definitions.requirement_lines import KEY_IN_QUERY
from airflow_train.exceptions import StoreError
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.files import Files

#: Seconds between two writes, at least, and how many times as long as a write took: stores know no appending.
INTERVAL, PAUSES = 0.5, 10
#: Up to the last `@` before a path: passwords may hold one, and quotes.
_LOGIN = re.compile(r"(?<=://)[^/\s]+(?=@)")
#: Colours and cursor movements, and what a progress bar showed before.
_DECORATION = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|^.*\r(?=.)")


def redacted(text: str) -> str:
    """Without the login and the key of any address."""
    return KEY_IN_QUERY.sub(r"\1***", _LOGIN.sub("***", text))


class BuildLog:
    """`files/system_logs/build.log` of a run, in lines like those of a rank's log; one that is there is gone on with.

    Threads may share it. What was said last is written at the end of its `with` block.
    """

    def __init__(self, files: Files, run_id: str) -> None:
        self._files, self._name = files, layout.build_log(run_id)
        self._data = bytearray(files.read_or_none(self._name) or b"")
        #: What was said, for whoever looks for the line that explains a failure.
        self.lines: list[str] = []
        self._lock = threading.Lock()
        self._next, self._new = 0.0, False
        self._done = threading.Event()
        self._writer = threading.Thread(target=self._write_on, daemon=True)

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._writer.join()
        self.write()

    def say(self, line: str) -> None:
        """One line, with or without its end; logins in it are covered."""
        text = redacted(_DECORATION.sub("", line.rstrip())).rstrip()
        if not text:
            return
        with self._lock:
            self.lines.append(text)
            self._data += f"{protocol.timestamp()} {text}\n".encode("utf-8", "replace")
            self._new = True
        if time.monotonic() >= self._next:
            self.write()

    def write(self) -> None:
        """Bring what was said to the run store."""
        with self._lock:
            began, data, self._new = time.monotonic(), bytes(self._data), False
            with contextlib.suppress(
                StoreError
            ):  # a log is no reason to end a build; the next write may succeed
                self._files.write(self._name, data)
            self._next = time.monotonic() + max(INTERVAL, PAUSES * (time.monotonic() - began))

    def _write_on(self) -> None:
        """A builder that has said something and goes on in silence is heard all the same."""
        while not self._done.wait(INTERVAL):
            if self._new and time.monotonic() >= self._next:
                self.write()
