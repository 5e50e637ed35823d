"""Tars as engines send them: read as `tarfile` reads them, and half of one is never taken for all."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from airflow_train.targets.docker.errors import EngineUnreachable
from airflow_train.targets.docker.stream import Stream

FILES = {
    "run/a": b"",
    "run/b/" + "long/" * 30 + "name": b"b" * 513,
    "run/späße und mehr": b"c" * 512,
    "run/" + "d" * 200: b"d" * 70_000,
}


class Answer:
    """What the engine would send, in pieces of a size."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data, self.size = data, size

    def iter_content(self, _: int) -> Iterator[bytes]:
        for start in range(0, len(self.data), self.size):
            yield self.data[start : start + self.size]

    def close(self) -> None:
        """Nothing to close."""


def tar(kind: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as made:
        folder = tarfile.TarInfo("run")
        folder.type = tarfile.DIRTYPE
        made.addfile(folder)
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("run/link")
        link.type, link.linkname = tarfile.LNKTYPE, "run/a"
        made.addfile(link)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("size", [100, 512, 32_768, 1 << 20])
@pytest.mark.parametrize("skipped", [False, True])
def test_every_member_comes_with_its_content_whatever_the_pieces(kind: int, size: int, skipped: bool) -> None:
    stream, found = Stream(Answer(tar(kind), size), "there"), {}
    with stream:
        for member in stream.members():
            if member.isreg():
                found[member.name] = None if skipped else b"".join(stream.content(member))
            else:
                found[member.name] = member.linkname.encode() if member.islnk() else b"folder"

    files = dict.fromkeys(FILES) if skipped else FILES
    assert found == {"run": b"folder", **files, "run/link": b"run/a"}


@pytest.mark.parametrize("end", [0, 100, 512, 1024, 1500, 60_000, -1])
def test_a_tar_that_breaks_off_is_no_tar(end: int) -> None:
    data = tar(tarfile.PAX_FORMAT).rstrip(b"\0")
    data = data.ljust(-(-len(data) // 512) * 512, b"\0")
    stream = Stream(Answer(data[:end] if end >= 0 else data, 32_768), "there")

    with pytest.raises(EngineUnreachable):
        [list(stream.content(member)) for member in stream.members() if member.isreg()]


def test_a_damaged_header_is_told() -> None:
    data = bytearray(tar(tarfile.PAX_FORMAT))
    data[3] ^= 1
    with pytest.raises(EngineUnreachable):
        list(Stream(Answer(bytes(data), 512), "there").members())


def test_a_damaged_header_of_another_kind_isn_t_taken_for_the_end() -> None:
    data = bytearray(tar(tarfile.PAX_FORMAT))
    data[data.index(b"././@PaxHeader") + 3] ^= 1
    with pytest.raises(EngineUnreachable):
        list(Stream(Answer(bytes(data), 512), "there").members())
