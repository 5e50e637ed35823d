"""A way to the Docker engine that can be cut and mended, so that an engine goes away for some only."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

ENGINE = "/var/run/docker.sock"


class Relay:
    """A socket that passes everything on to the engine's."""

    def __init__(self, path: str) -> None:
        # a socket's path is short
        self._folder = os.open(os.path.dirname(path), os.O_PATH)
        self._path = f"/proc/{os.getpid()}/fd/{self._folder}/{os.path.basename(path)}"
        self.address = f"unix://{self._path}"
        self._open: set[socket.socket] = set()
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

    def close(self) -> None:
        """Cut for good."""
        self.cut()
        os.close(self._folder)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = listener.accept()[0]
                far = socket.socket(socket.AF_UNIX)
                far.connect(ENGINE)
                self._open |= {near, far}
                threading.Thread(target=self._serve, args=[near, far], daemon=True).start()

    def _serve(self, near: socket.socket, far: socket.socket) -> None:
        back = threading.Thread(target=_pass, args=[far, near], daemon=True)
        back.start()
        _pass(near, far)
        back.join()
        for one in (near, far):
            self._open.discard(one)
            one.close()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
