"""Remote stores: a server is tried before it is believed, and a client's repeated request finds its own object."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_train.exceptions import ConfigurationError, StoreError
from airflow_train.store import remote
from airflow_train.store.files import Files


class Server(MemoryFileSystem):  # type: ignore[misc]
    """Objects in memory behind `s3://`; `honest` obeys mode="create", `repeats` sends each creation twice."""

    protocol = "s3"
    store: dict[str, Any] = {}  # noqa: RUF012 - shared by instances, as a server is
    honest = True
    repeats = False

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        super().pipe_file(path, value, mode=mode if self.honest else "overwrite", **options)
        if self.repeats and mode == "create":
            super().pipe_file(path, value, mode=mode, **options)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server that all stores of kind s3 reach in this test."""
    system = Server(skip_instance_cache=True)
    monkeypatch.setattr(remote, "_filesystem", lambda _kind: system)
    yield system
    Server.store.clear()


def _store() -> Files:
    return Files.open(f"s3://bucket/{uuid.uuid4()}")


def test_a_server_that_ignores_exclusive_create_is_refused(server: Server) -> None:
    server.honest = False
    with pytest.raises(StoreError, match="made one name twice although asked not to"):
        _store().create("runs/a/spec.json", b"{}")


def test_a_repeated_request_that_meets_its_own_object_has_won(server: Server) -> None:
    files = _store()
    server.repeats = True
    assert files.create("owner", b"mine")
    assert not files.create("owner", b"somebody else's")
    assert files.read("owner") == b"mine"


def test_the_probe_is_not_taken_for_a_record(server: Server) -> None:
    files = _store()
    assert files.create("runs/a/spec.json", b"{}")
    assert files.list("runs") == ["a"]
    assert _again(files).create("runs/b/spec.json", b"{}")


def _again(files: Files) -> Files:
    """The store as the next process opens it."""
    return Files.open(files.uri)


def test_large_files_go_in_once_and_come_out_whole(server: Server, tmp_path: Path) -> None:
    content = bytes(range(256)) * (5 << 12)
    (tmp_path / "model").write_bytes(content)
    files = _store()
    assert files.copy_in(tmp_path / "model", "models/m")
    files.copy_out("models/m", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    (tmp_path / "model").write_bytes(content[::-1])
    assert not files.copy_in(tmp_path / "model", "models/m")


def test_what_a_client_library_raises_becomes_one_sentence(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoCredentials(Exception):
        pass

    def refuse(*_arguments: object, **_options: object) -> None:
        raise NoCredentials("unable to locate credentials\nlong explanation")

    files = _store()
    monkeypatch.setattr(server, "cat_file", refuse)
    with pytest.raises(
        StoreError, match=r"can't be reached \(NoCredentials: unable to locate credentials\); check"
    ):
        files.read("runs/a/spec.json")


def test_a_missing_package_is_named_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'gcsfs>=2024\.12'"):
        Files.open("gs://bucket/store")
