"""The runtime as it travels: one zipapp and the folder of modules for scripts, both named by their content.

They lie in the run store, so that a supervisor that outlives an upgrade of this package still finds its own code.
Byte code of this interpreter rides along; other Pythons compile the sources, which are in there too.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import py_compile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from airflow_train import runtime
from airflow_train.store.run_store import RunStore

_SOURCE = Path(runtime.__file__).parent
#: What the runtime and scripts both need lies in both, for scripts under a name that is nobody else's.
_SHARED = {"redaction.py": "train_redaction.py"}
#: Every file of the zipapp is dated alike, so that the same code is the same file.
_DATE = (2020, 1, 1, 0, 0, 0)


def names() -> tuple[str, str]:
    """Names in the store of the zipapp and of the folder of modules for scripts."""
    digest, _, _ = contents()
    return f"runtime/{digest}/runtime.pyz", f"runtime/{digest}/script"


def install(store: RunStore) -> None:
    """Put the runtime into the store unless it is there."""
    digest, archive, modules = contents()
    folder = f"runtime/{digest}"
    if not store.files.exists(f"{folder}/runtime.pyz"):
        for name, content in modules.items():
            store.files.create(f"{folder}/script/{name}", content)
        store.files.create(f"{folder}/runtime.pyz", archive)


@cache
def contents() -> tuple[str, bytes, dict[str, bytes]]:
    """Digest of everything, the zipapp, and the modules for scripts by name."""
    sources = {
        path.relative_to(_SOURCE).as_posix(): path.read_bytes() for path in sorted(_SOURCE.rglob("*.py"))
    }
    modules = {name.partition("/")[2]: data for name, data in sources.items() if name.startswith("script/")}
    modules.update({name: sources[shared] for shared, name in _SHARED.items()})
    digest = hashlib.sha256(importlib.util.MAGIC_NUMBER)
    for name, data in sources.items():
        digest.update(b"%s\0%d\0%s" % (name.encode(), len(data), data))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, tempfile.TemporaryDirectory() as scratch:
        _add(archive, "airflow_train/__init__.py", b"", scratch)
        for name, data in sources.items():
            if name == "__main__.py":
                _add(archive, name, data, scratch)
            elif not name.startswith("script/"):
                _add(archive, f"airflow_train/runtime/{name}", data, scratch)
    return digest.hexdigest()[:16], buffer.getvalue(), modules


def _add(archive: zipfile.ZipFile, name: str, source: bytes, scratch: str) -> None:
    archive.writestr(zipfile.ZipInfo(name, _DATE), source)
    path = Path(scratch) / "module.py"
    path.write_bytes(source)
    compiled = py_compile.compile(
        str(path),
        cfile=f"{path}c",
        dfile=name,
        doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    archive.writestr(zipfile.ZipInfo(f"{name}c", _DATE), Path(str(compiled)).read_bytes())
