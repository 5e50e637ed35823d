"""A tar on its way out of a container: what its members hold is passed on in pieces, as they come."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Self

from airflow_train.targets.docker.errors import EngineUnreachable, sentences, unreachable

#: Most bytes of one chunk; engines send 32 kB at once.
_CHUNK = 1 << 20
_FILE, _FOLDER = tarfile.REGTYPE[0], tarfile.DIRTYPE[0]
_BLOCK = tarfile.BLOCKSIZE
#: The contents of a file up to so many bytes come in one piece.
_SMALL = 1 << 16
#: zlib's other checksum is a sum of bytes by this.
_PRIME = 65521


class Stream:
    """An engine's answer as a file that is read forward; to be closed."""

    def __init__(self, answer: Any, where: str) -> None:
        self._answer, self._where = answer, where
        self._chunks: Iterator[bytes] = answer.iter_content(_CHUNK)
        self._rest, self._from, self._at = b"", 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()

    def members(self) -> Iterator[tarfile.TarInfo]:
        """What the tar holds, in its order; of files and folders only name, size and type are told.

        :raises EngineUnreachable: the engine went away on the way, or gave up.
        """
        tar: Any = None
        try:
            while True:
                has_header = self._has(_BLOCK)
                header = self._rest[self._from : self._from + _BLOCK]
                if has_header and (tar is None or not tar.pax_headers) and (member := _plain(header)):
                    self._pass(_BLOCK)
                    end = self._at + member.size + -member.size % _BLOCK
                else:  # tarfile knows all the others
                    if tar is None:
                        tar = tarfile.TarFile(fileobj=self, tarinfo=_Header)  # type: ignore[arg-type]
                        member = tar.firstmember
                        tar.firstmember = None
                    else:
                        tar.offset = self._at
                        member = tar.next()
                    tar.members.clear()  # it would remember them all
                    end = tar.offset
                if member is None:
                    return
                yield member
                self.seek(end)
        except (tarfile.TarError, ValueError) as error:
            raise EngineUnreachable(unreachable(self._where, error)) from error

    def content(self, member: tarfile.TarInfo) -> Iterable[bytes]:
        """What the member holds that came last, in pieces; to be asked at most once, before the next member.

        :raises EngineUnreachable: as `members`, then or while it is read.
        """
        size = member.size
        if size <= _SMALL and self._has(size):
            return (self._take(size),)
        return self._in_pieces(size)

    def _in_pieces(self, size: int) -> Iterator[bytes]:
        end = self._at + size
        yield from self._pieces(size)
        if self._at < end:
            raise EngineUnreachable(unreachable(self._where, "EOF"))

    def tell(self) -> int:
        """Bytes that were read."""
        return self._at

    def seek(self, to: int) -> None:
        """Read on up to a position.

        :raises tarfile.ReadError: there is less.
        """
        if 0 <= to - self._at <= len(self._rest) - self._from:
            self._pass(to - self._at)
            return
        for _ in self._pieces(to - self._at):
            pass
        if self._at < to:
            raise tarfile.ReadError("EOF")

    def read(self, size: int) -> bytes:
        """So many bytes, less at the end."""
        return self._take(size) if size <= _SMALL and self._has(size) else b"".join(self._pieces(size))

    def _has(self, size: int) -> bool:
        """Are so many bytes at hand, or to be had?"""
        while len(self._rest) - self._from < size:
            chunk = self._next()
            if not chunk:
                return False
            self._rest, self._from = self._rest[self._from :] + chunk, 0
        return True

    def _take(self, size: int) -> bytes:
        found = self._rest[self._from : self._from + size]
        self._pass(size)
        return found

    def _pass(self, size: int) -> None:
        self._from += size
        self._at += size

    def _next(self) -> bytes:
        with sentences("copying from a container", self._where):
            return next(self._chunks, b"")

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size > 0:
            if self._from == len(self._rest):
                self._rest, self._from = self._next(), 0
                if not self._rest:
                    return
            # bytes that are wanted as a whole aren't copied
            piece = self._take(min(size, len(self._rest) - self._from))
            size -= len(piece)
            yield piece


def _plain(header: bytes) -> tarfile.TarInfo | None:
    """What the header of a plain file or folder says, in a tenth of tarfile's time; None for any other.

    :raises tarfile.ReadError: it is damaged.
    """
    if header[156] not in (_FILE, _FOLDER) or header[124] & 0x80:
        return None
    _check(header)
    name = _text(header[:100])
    made = tarfile.TarInfo(name)
    made.type, made.size = header[156:157], int(header[124:136].strip(b" \0") or b"0", 8)
    if header[345] and (prefix := _text(header[345:500])):
        made.name = f"{prefix}/{name}"
    if header[156] == _FOLDER:
        made.name, made.size = made.name.rstrip("/"), 0
    return made


def _check(header: bytes) -> None:
    """The sum of all bytes, those of the sum itself as spaces; compared by a prime, which is a tenth of the work."""
    found = (zlib.adler32(header[:148], zlib.adler32(header[156:])) & 0xFFFF) - 1 + 8 * 0x20
    if (found - int(header[148:156].strip(b" \0") or b"0", 8)) % _PRIME:
        raise tarfile.ReadError("bad checksum")


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(tarfile.ENCODING, "surrogateescape")


class _Header(tarfile.TarInfo):
    """For what is no plain file or folder: tarfile takes half a header, or a damaged one, for the end."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> _Header:  # type: ignore[override]
        if len(buf) < _BLOCK:
            raise tarfile.ReadError("EOF")
        if any(buf):
            _check(buf)
        return super().frombuf(buf, encoding, errors)
