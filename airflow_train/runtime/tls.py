"""Mutual TLS between the nodes of one run: who isn't of its authority is nobody.

Node 0 shows a certificate that is good for servers only, the others one for clients only, so OpenSSL itself refuses a
node that plays node 0. Version 1.2 is the oldest that is spoken, for images of long ago.
"""

from __future__ import annotations

import contextlib
import os
import ssl

from airflow_train.runtime import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


def contexts(folder: str, server: bool) -> list[ssl.SSLContext]:
    """What this node shows and trusts; its files are gone from then on, so that no script finds them.

    Where several submitters have left keys, node 0 knows whose count, and the others try all they have on it.

    :raises OSError: a file is missing or no good (`ssl.SSLError` is one).
    """
    places = _places(folder, server)
    made = []
    for place in places:
        try:
            made.append(_context(place, server))
        except OSError:  # another submitter's may be half there
            if place == places[-1] and not made:
                raise
    for place in (*(one.path for one in os.scandir(folder) if one.is_dir(follow_symlinks=False)), folder):
        for name in os.listdir(place):
            with contextlib.suppress(OSError):
                path = os.path.join(place, name)
                (os.rmdir if os.path.isdir(path) else os.unlink)(path)
    return made


def _places(folder: str, server: bool) -> list[str]:
    """Folders with keys that may count."""
    if server:
        chosen = os.path.join(folder, protocol.CHOSEN_FILE)
        with contextlib.suppress(FileNotFoundError), open(chosen, encoding="ascii") as file:
            return [os.path.join(folder, os.path.basename(file.read()))]
    found = sorted(one.path for one in os.scandir(folder) if one.is_dir(follow_symlinks=False))
    if server:
        found = [one for one in found if os.path.basename(one).startswith(protocol.FIRST_KEYS)][:1]
    return found or [folder]


def _context(place: str, server: bool) -> ssl.SSLContext:
    authority, certificate, key = (os.path.join(place, name) for name in protocol.CERTIFICATE_FILES)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = (
        False  # addresses are not known when certificates are made: `node_of` looks at names
    )
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(authority)
    made.load_cert_chain(certificate, key)
    if server:
        made.options |= ssl.OP_NO_TICKET  # one connection per node: nothing is ever resumed
        with contextlib.suppress(AttributeError):
            made.num_tickets = 0
    return made


def wrapped(made: ssl.SSLContext, connection: socket.socket, server: bool) -> ssl.SSLSocket:
    """A connection whose handshake is still to be done."""
    return made.wrap_socket(
        connection, server_side=server, do_handshake_on_connect=False, suppress_ragged_eofs=True
    )


def shaken(connection: ssl.SSLSocket) -> bool:
    """Go on with the handshake of a connection that doesn't block; True when it is done.

    :raises OSError: the other side is nobody of this run, or has gone.
    """
    try:
        connection.do_handshake()
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return False
    return True


def why(error: OSError) -> str:
    """What an error of a connection says, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate isn't taken for this run's (%s)" % error.verify_message
    return getattr(error, "reason", None) or error.strerror or str(error)


def node_of(connection: ssl.SSLSocket, nodes: int) -> int | None:
    """The node that the other side's certificate names, None for another."""
    subject = dict(pair[0] for pair in (connection.getpeercert() or {}).get("subject", ()))  # type: ignore[misc]
    names = {protocol.certificate_name(node): node for node in range(nodes)}
    return names.get(str(subject.get("commonName")))
