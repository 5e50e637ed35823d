"""What goes into the volume of a run before its container starts, as one tar, written while it is sent.

Nothing is written twice, and memory doesn't depend on its size. Every stored file is checked against its SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from airflow_train.targets import bundle
from airflow_train.targets.docker import earlier, plan
from airflow_train.targets.docker.errors import Refusal

#: Pieces of the tar are sent when they are this large; bytes.
_SEND = 1 << 20
_CHUNK = 1 << 20


class _Pending(io.RawIOBase):
    """Takes what tarfile writes."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = self._written = 0

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        self.size += len(data)
        self._written += len(data)
        return len(data)

    def take(self) -> bytes:
        """Everything that was written since the last time."""
        found, self.pieces, self.size = b"".join(self.pieces), [], 0
        return found


class Archive:
    """Pieces of a tar of everything that the plan's `contents` name, owned by the container's user."""

    def __init__(
        self,
        spec: RunSpec,
        made: plan.DockerPlan,
        store: RunStore,
        owner: tuple[int, int],
        secrets: Mapping[str, str],
        keys: Mapping[str, bytes] | None = None,
        runtime: bytes = b"",
        folder: str = "",
    ) -> None:
        """:param keys: what a node of several shows to the others: files by their names below `plan.KEYS`.
        :param runtime: the zipapp, where it isn't the submitter's own.
        :param folder: where the archive has the volume, with a `/` at its end.
        """
        self._runtime, self._folder_of_volume = runtime, folder
        self._spec, self._plan, self._store, self._owner = spec, made, store, owner
        self._secrets, self._keys = secrets, keys or {}

    def __iter__(self) -> Iterator[bytes]:
        """:raises Refusal: a stored file is damaged, or a checkpoint isn't there any more."""
        return together([self])

    def write(self, tar: tarfile.TarFile, pending: _Pending) -> Iterator[None]:
        """Names are below the volume's root; a step after every piece."""
        self._pending = pending
        _, archive, modules = bundle.contents()
        if (
            not self._folder_of_volume
        ):  # engines leave the owner of a volume as it is, if that is the archive's own root
            self._folder(tar, ".")
        self._file(tar, _below(plan.RUNTIME), self._runtime or archive)
        for name, content in modules.items():
            self._file(tar, f"{_below(plan.SCRIPT)}/{name}", content)
        yield
        node = f"{_below(plan.RUN_FOLDER)}/{protocol.node_folder(self._plan.node)}"
        self._folder(tar, _below(plan.RUN_FOLDER))
        self._folder(tar, node)
        self._file(tar, f"{node}/{protocol.LAUNCH_FILE}", json.dumps(dict(self._plan.launch)).encode())
        events = layout.events(self._spec.run_id)
        alone = self._plan.shared or self._plan.node  # whose events come from elsewhere
        if not self._plan.shared:
            self._folder(tar, f"{_below(plan.RUN_FOLDER)}/{protocol.EVENTS_FOLDER}")
        for number in [] if alone else self._store.files.numbers(events):
            name = f"{_below(plan.RUN_FOLDER)}/{layout.numbered(protocol.EVENTS_FOLDER, number)}"
            self._file(tar, name, self._store.files.read(layout.numbered(events, number)))
        self._folder(tar, _below(plan.INSIDE))
        for name, content in self._keys.items():
            folder = f"{_below(plan.KEYS)}/{name.rpartition('/')[0]}"
            self._folder(tar, _below(plan.KEYS), 0o700)
            self._folder(tar, folder, 0o700)
            self._file(tar, f"{_below(plan.KEYS)}/{name}", content, 0o400)
        if self._secrets:
            content = protocol.packed(dict(self._secrets), {})
            self._file(tar, _below(plan.HANDED), content, 0o400)
        self._folder(tar, _below(plan.CODE))
        yield from self._code(tar)
        for one in self._plan.earlier:
            yield from self._earlier(tar, one["source"], _below(one["target"]))

    def _earlier(self, tar: tarfile.TarFile, source: str, target: str) -> Iterator[None]:
        """Files of an earlier run, to be read only."""
        try:
            for entry in earlier.entries(self._store, source):
                name = f"{target}/{entry.name}" if entry.name else target
                if entry.link is not None:
                    info = self._info(name, tarfile.SYMTYPE, 0o777)
                    info.linkname = entry.link
                    tar.addfile(info)
                elif entry.read is None:
                    self._folder(tar, name)
                else:
                    with entry.read() as read:
                        size, _ = yield from self._pieces(tar, name, 0o444, entry.size, read)
                    if size != entry.size:
                        raise OSError(f"{entry.name or source} changed meanwhile")
                yield
        except OSError as error:
            reason = error.strerror or error
            raise Refusal(f"the checkpoints in {source} could not be copied: {reason}") from error

    def _code(self, tar: tarfile.TarFile) -> Iterator[None]:
        manifest = self._store.files.read_json(layout.snapshot(self._spec.snapshot["id"]))
        for entry in manifest["entries"]:
            name = f"{_below(plan.CODE)}/{entry[0]}"
            if entry[1] == "d":
                self._folder(tar, name, entry[2] | 0o700)
            elif entry[1] == "l":
                info = self._info(name, tarfile.SYMTYPE, 0o777)
                info.linkname = entry[2]
                tar.addfile(info)
            else:
                yield from self._blob(tar, name, entry)
            yield

    def _blob(self, tar: tarfile.TarFile, name: str, entry: list[Any]) -> Iterator[None]:
        """One stored file, in pieces."""
        _, _, mode, size, digest = entry
        blob = layout.blob(digest)

        def read(position: int) -> bytes:
            return self._store.files.read_range(blob, position, min(_CHUNK, size - position))

        _, found = yield from self._pieces(tar, name, mode, size, read)
        if found != digest or self._store.files.size(blob) != size:
            raise Refusal(
                f"the code could not be staged: the stored copy of {entry[0]} is damaged "
                f"(its SHA-256 isn't {digest})",
                "infrastructure",
            )

    def _pieces(
        self, tar: tarfile.TarFile, name: str, mode: int, size: int, read: Callable[[int], bytes]
    ) -> Generator[None, None, tuple[int, str]]:
        """One file, a step after every piece; returns how many bytes there were, and their SHA-256.

        :param read: what is to come from this position on, as much as is at hand; empty at the end.
        """
        info = self._info(name, tarfile.REGTYPE, mode)
        info.size = size
        head = info.tobuf(tarfile.PAX_FORMAT)
        self._pending.write(head)
        found, position = hashlib.sha256(), 0
        while position < size:
            data = read(position)[: size - position]
            found.update(data)
            position += len(data)
            self._pending.write(data)
            yield
            if not data:
                break
        self._pending.write(b"\0" * (-size % tarfile.BLOCKSIZE))
        tar.offset += len(head) + size + -size % tarfile.BLOCKSIZE
        return position, found.hexdigest()

    def _info(self, name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(f"{self._folder_of_volume}{name}")
        info.type, info.mode = kind, mode
        info.uid, info.gid = self._owner
        return info

    def _folder(self, tar: tarfile.TarFile, name: str, mode: int = 0o755) -> None:
        tar.addfile(self._info(name, tarfile.DIRTYPE, mode))

    def _file(self, tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
        info = self._info(name, tarfile.REGTYPE, mode)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))


def together(archives: Iterable[Archive]) -> Iterator[bytes]:
    """Pieces of one tar of several volumes.

    :raises Refusal: as for one of them.
    """
    pending = _Pending()
    with tarfile.open(fileobj=pending, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for one in archives:
            for _ in one.write(tar, pending):
                if pending.size >= _SEND:
                    yield pending.take()
    yield pending.take()


def _below(path: str) -> str:
    return path.removeprefix(f"{plan.ROOT}/")


def single(name: str, content: bytes, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> bytes:
    """A tar of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), mode
        info.uid, info.gid = owner
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
