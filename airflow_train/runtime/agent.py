"""What mpirun calls instead of ssh: `agent.py SOCKET HOST COMMAND…` starts a command on another node of the run.

It lies in the session folder and is run as it is, without the zipapp, so that it starts in 15 ms. The exit code is the
command's; 255, as ssh's, when the connection to the node breaks, or when nothing could be started.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time

#: Seconds that the socket may take to appear.
PATIENCE = 5.0
BROKEN = 255


def main() -> int:
    """Ask for the command, pass on what it writes, and end as it does."""
    path, host, *command = sys.argv[1:]
    connection = _connected(path)
    body = json.dumps({"host": host, "command": " ".join(command)}).encode("ascii")
    try:
        connection.sendall(struct.pack(">I", len(body)) + body)
        while True:
            message = json.loads(_exactly(connection, struct.unpack(">I", _exactly(connection, 4))[0]))
            if "status" in message:
                return int(message["status"])
            os.write(message["stream"], message["output"].encode("utf-8", "surrogateescape"))
    except (OSError, ValueError):
        return BROKEN


def _connected(path: str) -> socket.socket:
    deadline = time.monotonic() + PATIENCE
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
        except OSError as error:
            connection.close()
            if time.monotonic() > deadline:
                print("the other nodes can't be reached: %s: %s" % (path, error.strerror), file=sys.stderr)
                sys.exit(BROKEN)
            time.sleep(0.01)
        else:
            return connection


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionError("the node has gone")
        data += piece
    return data


if __name__ == "__main__":
    os._exit(main())  # nothing to clean up
