"""The runtime as it travels: one zipapp and the folder of modules for scripts, both named by their content.

They lie in the run store, so that a supervisor that outlives an upgrade of this package still finds its own code.
Byte code of this interpreter rides along; other Pythons compile the sources, which are in there too. The packages for
scripts are one zip in that folder, as an engine takes 0.4 ms of a core for every file that comes into a volume.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from airflow_train import runtime
from airflow_train.runtime import protocol
from airflow_train.runtime.compiling import compiled
from airflow_train.store.run_store import RunStore

_SOURCE = Path(runtime.__file__).parent
#: What the runtime and scripts both need lies in both, for scripts under a name that is nobody else's.
_SHARED = {"redaction.py": "train_redaction.py"}
#: For scripts, in a zip.
_PACKAGES = ("azureml/", "azureml_run/")
#: Every file of the zips is dated alike, so that the same code is the same file.
_DATE = (2020, 1, 1, 0, 0, 0)


def folder() -> str:
    """Where all of it lies in the store."""
    return f"runtime/{contents()[0]}"


def names() -> tuple[str, str]:
    """Names in the store of the zipapp and of the folder of modules for scripts."""
    return f"{folder()}/runtime.pyz", f"{folder()}/script"


def install(store: RunStore) -> None:
    """Put the runtime into the store unless it is there."""
    _, archive, modules = contents()
    zipapp, scripts = names()
    if not store.files.exists(zipapp):
        for name, content in modules.items():
            store.files.create(f"{scripts}/{name}", content)
        store.files.create(zipapp, archive)


@cache
def contents() -> tuple[str, bytes, dict[str, bytes]]:
    """Digest of everything, the zipapp, and the modules for scripts by name."""
    sources = _sources()
    scripts = {name.partition("/")[2]: data for name, data in sources.items() if name.startswith("script/")}
    packages = {name: data for name, data in scripts.items() if name.startswith(_PACKAGES)}
    modules = {name: data for name, data in scripts.items() if name not in packages}
    modules.update({name: sources[shared] for shared, name in _SHARED.items()})
    modules[protocol.PACKAGES_FILE] = _zipped(packages, _compiled(packages))
    digest = hashlib.sha256(importlib.util.MAGIC_NUMBER)
    for name, data in sources.items():
        digest.update(b"%s\0%d\0%s" % (name.encode(), len(data), data))
    return digest.hexdigest()[:16], with_code(_compiled(_modules())), modules


def with_code(code: Mapping[str, bytes]) -> bytes:
    """The zipapp.

    :param code: byte code by name of the source; what has none is compiled by whoever runs it.
    """
    return _zipped(_modules(), code)


def _zipped(sources: Mapping[str, bytes], code: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, source in sources.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), source)
            if name in code:
                archive.writestr(zipfile.ZipInfo(f"{name}c", _DATE), code[name])
    return buffer.getvalue()


def _compiled(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: compiled(data, name) for name, data in sources.items()}


@cache
def _sources() -> dict[str, bytes]:
    """Everything as it is now: an upgrade of the package under a process that lives on doesn't mix two versions."""
    return {path.relative_to(_SOURCE).as_posix(): path.read_bytes() for path in sorted(_SOURCE.rglob("*.py"))}


def _modules() -> dict[str, bytes]:
    """What the zipapp holds, by name in there."""
    found = {"airflow_train/__init__.py": b""}
    for name, data in _sources().items():
        if name == "__main__.py":
            found[name] = data
        elif not name.startswith("script/"):
            found[f"airflow_train/runtime/{name}"] = data
    return found
