"""TCP ports of this machine for the ranks to meet at."""

from __future__ import annotations

import contextlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator


@contextlib.contextmanager
def free(count: int, address: str = "127.0.0.1") -> Iterator[list[int]]:
    """That many different TCP ports that nobody listens on, held while the context lasts.

    :param address: of this machine; empty for all.
    """
    import socket  # most runs need no port, and every run waits for this process's imports

    holders = []
    try:
        for _ in range(count):
            holder = socket.socket()
            holder.bind((address, 0))
            holders.append(holder)
        yield [holder.getsockname()[1] for holder in holders]
    finally:
        for holder in holders:
            holder.close()
