"""Output of one rank: every line into its log with the time it arrived, the end of it kept for the exit record."""

from __future__ import annotations

import os
import re

from airflow_train.runtime import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airflow_train.runtime.redaction import Redactor

_CHUNK = 1 << 18
#: Bytes of raw output that are kept for the last lines and a traceback.
_TAIL = 64 << 10
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*)(?:: (.*))?$", re.DOTALL)
_SYNTAX = re.compile(r"^(SyntaxError|IndentationError|TabError): ", re.MULTILINE)


class RankLog:
    """An append-only file of `<time> <text>` lines; `take` never waits for a whole line."""

    def __init__(self, path: str, hide: Redactor | None = None) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._at_line_start = True
        self._tail = b""
        self._hidden = None if hide is None else hide.stream()
        #: Bytes that could not be written, on a full disk say; the script goes on all the same.
        self.lost = 0

    def take(self, source: int) -> bool:
        """Move what has arrived at `source` into the log; False at its end."""
        data = os.read(source, _CHUNK)
        if not data:
            return False
        if self._hidden is not None:
            data = self._hidden.feed(data)
        self._add(data)
        return True

    def _add(self, data: bytes) -> None:
        if not data:
            return
        self._tail = (self._tail + data)[-_TAIL:]
        stamp = protocol.timestamp().encode() + b" "
        ends_line = data.endswith(b"\n")
        body = data[:-1] if ends_line else data
        text = body.replace(b"\n", b"\n" + stamp) + (b"\n" if ends_line else b"")
        self._write(stamp + text if self._at_line_start else text)
        self._at_line_start = ends_line

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._file, view) :]
            except OSError:
                self.lost += len(view)
                return

    def begin_again(self, words: str) -> None:
        """Say that the script is started again; last lines and traceback are those of what comes."""
        self._release()
        start = b"" if self._at_line_start else b"\n"
        self._write(start + (protocol.timestamp() + " " + words + "\n").encode())
        self._at_line_start, self._tail = True, b""

    def close(self) -> None:
        """End a last line that the script left open."""
        self._release()
        if not self._at_line_start:
            self._write(b"\n")
        os.close(self._file)

    def _release(self) -> None:
        """Write what was held back because it could have become a secret."""
        if self._hidden is not None:
            self._add(self._hidden.feed(b"", last=True))

    def last_lines(self) -> list[str]:
        """The last lines of output, longest 2 000 characters each."""
        lines = self._tail.decode("utf-8", "replace").splitlines()
        return [line[:2000] for line in lines[-protocol.LAST_LINES :]]

    def traceback(self, work: str) -> dict[str, str] | None:
        """Type, message and place (below `work`) of the last Python traceback in the output, if there is one."""
        text = self._tail.decode("utf-8", "replace")
        _, found, block = text.rpartition("Traceback (most recent call last):\n")
        if not found:  # a script that doesn't parse ends without that line
            block = text[text.rfind('  File "') :] if _SYNTAX.search(text) else ""
        place = ""
        for line in block.splitlines():
            if line.startswith("  File "):
                place = line.strip().replace(work + os.sep, "")
            elif line and not line[0].isspace():
                match = _EXCEPTION.match(line)
                if match is None:
                    return None
                return {"type": match.group(1), "message": (match.group(2) or "")[:2000], "place": place}
        return None
