"""JSON messages over a socket, with TLS or without, that never block and never grow without bound.

A message is its length in four bytes, then that many bytes of JSON.
"""

from __future__ import annotations

import json
import select
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

#: Between nodes: seconds between two signs of life, in both directions, …
BEAT = 1.0
#: … and without one after which the other side counts as lost.
SILENCE = 5.0
#: When a rank fails, this long is waited for all nodes to say that they are still there, and that everything which had
#: ended there has been told (seconds): whoever loses a peer fails of it and isn't to blame.
PROOF = 1.0
_LENGTH = struct.Struct(">I")
#: Most bytes of one message, and of messages that the other side hasn't taken.
LONGEST = 4 << 20
BACKLOG = 16 << 20
_CHUNK = 1 << 16


class Wire:
    """One end of a connection.

    A closed, broken or misused one raises OSError; TLS errors are OSErrors too.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        self.socket = sock
        self.descriptor = sock.fileno()
        self._in, self._out = bytearray(), bytearray()

    def events(self) -> int:
        """What to poll for."""
        return select.POLLIN | (select.POLLOUT if self._out else 0)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message, as far as the other side takes it now; `flush` sends the rest."""
        body = json.dumps(message).encode("ascii")
        if len(self._out) + len(body) > BACKLOG:
            raise ConnectionError("it takes no messages any more")
        self._out += _LENGTH.pack(len(body)) + body
        self.flush()

    def flush(self) -> None:
        """Send what is left of earlier messages."""
        try:
            while self._out:
                del self._out[: self.socket.send(self._out)]
        except OSError as error:
            if not _would_block(error):
                raise

    def receive(self) -> list[dict[str, Any]]:
        """Messages that have come whole; those before the end of a connection are given before its error."""
        found: list[dict[str, Any]] = []
        try:
            while True:  # TLS may hold more than the kernel tells of
                data = self.socket.recv(_CHUNK)
                if not data:
                    raise ConnectionError("it was closed")
                self._in += data
                found += self._whole()
        except OSError as error:
            if not _would_block(error) and not found:
                raise
        return found

    def _whole(self) -> list[dict[str, Any]]:
        found = []
        while len(self._in) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._in)
            if length > LONGEST:
                raise ConnectionError("it sent a message of %d bytes" % length)
            if len(self._in) < _LENGTH.size + length:
                break
            message = _parsed(bytes(self._in[_LENGTH.size : _LENGTH.size + length]))
            del self._in[: _LENGTH.size + length]
            found.append(message)
        return found

    def pending(self) -> bool:
        """Is something still to be sent?"""
        return bool(self._out)

    def close(self) -> None:
        """Close it at once."""
        self.socket.close()


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise ConnectionError("it sent no JSON") from error
    if not isinstance(message, dict):
        raise ConnectionError("it sent no object")
    return message


def _would_block(error: OSError) -> bool:
    """Plain sockets and TLS say it differently; `ssl` isn't imported for those that are plain."""
    return isinstance(error, BlockingIOError) or type(error).__name__ in (
        "SSLWantReadError",
        "SSLWantWriteError",
    )


def ready(wires: list[Any], others: list[int], seconds: float) -> set[int]:
    """Descriptors at which something can be done, of wires and of other sources to read from.

    :param seconds: how long to wait for the first.
    """
    poller = select.poll()
    for one in wires:
        poller.register(one.descriptor, one.events())
    for descriptor in others:
        poller.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poller.poll(max(0.0, seconds) * 1000)}
