"""Small questions over connections that are kept: hundreds of watched runs ask dozens of them a second.

The package docker makes a connection for each, as it keeps connections by address and there is one for every container,
and takes five times as long. So this asks engines on a socket of this machine itself; all others are asked by the
package. What isn't plainly answered is left to it, too: it knows how to say what is wrong.
"""

from __future__ import annotations

import atexit
import os
import socket
import threading
from http.client import HTTPConnection, HTTPException, HTTPResponse

#: Most idle connections to one engine.
_MOST = 8
#: (process, socket) → idle connections
_idle: dict[tuple[int, str], list[_Line]] = {}
_lock = threading.Lock()


class _Line(HTTPConnection):
    """HTTP over a socket of this machine."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def head(path: str, place: str, timeout: float) -> HTTPResponse | None:
    """The engine's answer to a HEAD request, read to its end; None when there was none, and to be asked otherwise.

    :param path: the engine's socket.
    :param place: address below it, with its query.
    :raises TimeoutError: it took longer than `timeout` seconds.
    """
    key = os.getpid(), path
    with _lock:
        lines = _idle.setdefault(key, [])
        line = lines.pop() if lines else _Line(path, timeout)
    try:
        line.request("HEAD", place)
        answer = line.getresponse()
        answer.read()
    except TimeoutError:
        line.close()
        raise
    except (OSError, HTTPException):  # the engine has closed it meanwhile, or isn't there
        line.close()
        return None
    with _lock:
        if len(lines) < _MOST:
            lines.append(line)
            return answer
    line.close()
    return answer


@atexit.register
def _hang_up() -> None:
    for lines in _idle.values():
        for line in lines:
            line.close()
