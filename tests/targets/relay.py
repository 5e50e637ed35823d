"""Ways to the Docker engine: by a socket that can be cut and mended, so that it goes away for some only, and by TCP."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

ENGINE = "/var/run/docker.sock"


class Relay:
    """A socket that passes everything on to the engine's."""

    def __init__(self, path: str) -> None:
        # a socket's path is short
        self._folder = os.open(os.path.dirname(path), os.O_PATH)
        self._path = f"/proc/{os.getpid()}/fd/{self._folder}/{os.path.basename(path)}"
        self.address = f"unix://{self._path}"
        self._open: set[socket.socket] = set()
        #: One for each stream of events; nothing passes when it is set.
        self._streams: set[threading.Event] = set()
        self.mend()

    def mend(self) -> None:
        """Let everybody through."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._path)
        self._listener.listen()
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def cut(self) -> None:
        """End all connections and let nobody through."""
        os.unlink(self._path)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    @property
    def streams(self) -> int:
        """How many listen to events now."""
        return len(self._streams)

    def lose_events(self) -> None:
        """Pass nothing on to who listens to events now and don't say so, as networks do that forget a connection."""
        for lost in self._streams:
            lost.set()

    def close(self) -> None:
        """Cut for good."""
        self.cut()
        os.close(self._folder)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = listener.accept()[0]
                far = _engine()
                self._open |= {near, far}
                threading.Thread(target=self._serve, args=[near, far], daemon=True).start()

    def _serve(self, near: socket.socket, far: socket.socket) -> None:
        lost = threading.Event()

        def lets(data: bytes) -> bool:
            if b"/events?" in data.partition(b"\r\n")[0]:
                self._streams.add(lost)
            return not lost.is_set()

        _join(near, far, lets)
        self._open -= {near, far}
        self._streams.discard(lost)


@contextlib.contextmanager
def by_tcp(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port of this machine behind which the engine answers, with certificates if a context is given."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_answer, args=[listener, tls], daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _answer(listener: socket.socket, tls: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError):
        while True:
            near = listener.accept()[0]
            threading.Thread(target=_let_in, args=[near, tls], daemon=True).start()


def _let_in(near: socket.socket, tls: ssl.SSLContext | None) -> None:
    if tls is None:
        _join(near, _engine())
        return
    # what is encrypted has two layers, and a blocking socket of the package ssl serves one direction at a time
    inside, outside = socket.socketpair()
    threading.Thread(target=_join, args=[outside, _engine()], daemon=True).start()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    _encrypted(near, inside, tls.wrap_bio(incoming, outgoing, server_side=True), incoming, outgoing)


def _encrypted(
    near: socket.socket,
    inside: socket.socket,
    tls: ssl.SSLObject,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
) -> None:
    """Serve one who speaks TLS, both directions in one thread."""
    with contextlib.suppress(OSError), near, inside:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                near.sendall(outgoing.read())
                if not (data := near.recv(1 << 16)):
                    return
                incoming.write(data)
            except ssl.SSLError:
                near.sendall(outgoing.read())
                return
        near.sendall(outgoing.read())
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                while data := tls.read(1 << 16):
                    inside.sendall(data)
                return
            for one in select.select([near, inside], [], [])[0]:
                if not (data := one.recv(1 << 16)):
                    return
                if one is near:
                    incoming.write(data)
                else:
                    tls.write(data)
            near.sendall(outgoing.read())


def _engine() -> socket.socket:
    far = socket.socket(socket.AF_UNIX)
    far.connect(ENGINE)
    return far


def _join(near: socket.socket, far: socket.socket, lets: Callable[[bytes], bool] = bool) -> None:
    """Pass everything on that `lets` lets through, both ways, until both are done."""
    back = threading.Thread(target=_pass, args=[far, near, lets], daemon=True)
    back.start()
    _pass(near, far, lets)
    back.join()
    near.close()
    far.close()


def _pass(source: socket.socket, target: socket.socket, lets: Callable[[bytes], bool]) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if lets(data):
                target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
