"""Which files that would travel hold a text: secrets among the source code, before it is stored."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

from airflow_train.store.files import Files
from airflow_train.store.snapshots import store_below
from airflow_train.store.source_tree import SourceTree

#: Larger files are data; the secrets that people leave behind stand in `.env`, scripts and notebooks. Bytes.
LARGEST = 1 << 20


def holding(source: Path, texts: Collection[str], files: Files) -> list[tuple[str, str]]:
    """Each file below `source` that travels and holds one of `texts`, with that text; ignored files are passed over.

    :param files: the store, which stays behind where it lies in the source directory.
    :raises SnapshotError: something can't be read.
    """
    root = os.path.realpath(source)
    wanted = [(text, text.encode("utf-8", "surrogateescape")) for text in texts]
    found = []
    for folder in SourceTree(root, {}, store_below(root, files), time.time_ns()).walk():
        for entry in folder.all_entries():
            if entry[1] == "f" and (content := _content(os.path.join(root, entry[0]))):
                found += [(str(entry[0]), text) for text, data in wanted if data in content]
    return found


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read() if os.fstat(file.fileno()).st_size <= LARGEST else b""
    except OSError:  # gone since, or `snapshots.take` says what is wrong
        return b""
