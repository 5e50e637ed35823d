"""Build contexts as one tar: what a recipe installs, or an author's own folder out of the run store."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import IO

from airflow_train.environments import dockerfile
from airflow_train.environments.recipe import Recipe
from airflow_train.exceptions import ConfigurationError
from airflow_train.store import snapshots
from airflow_train.store.files import Files

#: Name of the Dockerfile in every context; an author's own file of any name stays as it is.
DOCKERFILE = ".airflow-train.Dockerfile"
#: Every file of ours is dated alike, so that the engine sees the same content as the same.
_DATE = (2020, 1, 1, 0, 0, 0)
#: pip started from a file: `python pip.pyz install …`.
_START = "import runpy\nrunpy.run_module('pip', run_name='__main__', alter_sys=True)\n"


def of_packages(recipe: Recipe, text: str, target: IO[bytes]) -> None:
    """Write what a Dockerfile of `dockerfile.packages` needs.

    :raises ConfigurationError: the package pip isn't installed here.
    """
    with tarfile.open(fileobj=target, mode="w") as tar:
        _add(tar, DOCKERFILE, text.encode())
        if recipe.pip:
            lines = "".join(f"{line}\n" for line in recipe.pip)
            _add(tar, f"{dockerfile.FOLDER}/{dockerfile.REQUIREMENTS}", lines.encode())
            _add(tar, f"{dockerfile.FOLDER}/{dockerfile.PIP}", _pip())


def of_folder(text: str, context: str | None, files: Files, target: IO[bytes]) -> None:
    """Write a Dockerfile and the folder that it may copy from, if there is one.

    :param context: id of the folder's snapshot.
    :raises SnapshotError: the stored copy isn't there, or is damaged.
    """
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        if context is not None:
            with tempfile.TemporaryDirectory() as folder:
                snapshots.restore(files, context, Path(folder))
                tar.add(folder, ".", filter=_nobodys)
        _add(tar, DOCKERFILE, text.encode())


def _nobodys(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    tar.addfile(info, io.BytesIO(content))


@cache
def _pip() -> bytes:
    """This Python's pip as a zipapp, for images that have none; needs Python 3.9 or later there."""
    try:
        files = metadata.files("pip") or []
    except metadata.PackageNotFoundError as error:
        raise ConfigurationError(
            "images for pip packages are built with the package pip, which isn't installed; "
            "pip install 'airflow-train[docker]'."
        ) from error
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _DATE), _START)
        for one in sorted(files, key=str):
            path = Path(str(one.locate()))
            if one.parts[0] == "pip" and path.suffix != ".pyc" and path.is_file():
                info = zipfile.ZipInfo(one.as_posix(), _DATE)
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, path.read_bytes())
    return buffer.getvalue()
