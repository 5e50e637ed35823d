"""A package index without a network: a folder of packages that tests make, in lines that pip and uv understand."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

#: A build backend that leaves a mark, then waits for a file, or fails.
_BACKEND = """\
import os, sys, time
def build_wheel(folder, settings=None, metadata=None):
    with open({marks!r}, "ab", 0) as marks:
        marks.write(b"%d\\n" % os.getpid())
    if {error!r}:
        sys.exit({error!r})
    while not os.path.exists({go!r}):
        time.sleep(0.01)
    import shutil
    return os.path.basename(shutil.copy({wheel!r}, folder))
"""


class Index:
    """Packages in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Process ids of the builds of `slow` packages, one a line.
        self.marks = folder / "marks"
        #: What they wait for.
        self.go = folder / "go"
        folder.mkdir(parents=True)

    def lines(self, *packages: str) -> list[str]:
        """Lines of a requirements file that installs these from here and nowhere else."""
        return ["--no-index", f"--find-links {self.folder}", *packages]

    def wheel(self, name: str, version: str = "1.0", folder: Path | None = None, program: str = "") -> Path:
        """A package with one module that knows its `VERSION`, and a program if it has a name."""
        path = (folder or self.folder) / f"{name}-{version}-py3-none-any.whl"
        facts = f"{name}-{version}.dist-info"
        files = {
            f"{name}.py": f"VERSION = {version!r}\ndef main():\n    print('program of', VERSION)\n",
            f"{facts}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{facts}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        if program:
            files[f"{facts}/entry_points.txt"] = f"[console_scripts]\n{program} = {name}:main\n"
        record = "".join(f"{one},,\n" for one in [*files, f"{facts}/RECORD"])
        with zipfile.ZipFile(path, "w") as archive:
            for one, text in {**files, f"{facts}/RECORD": record}.items():
                archive.writestr(one, text)
        return path

    def slow(self, name: str, version: str = "1.0", error: str = "") -> None:
        """A package that has to be built: it waits for `go`, or fails with an error."""
        aside = self.folder / "aside"
        aside.mkdir(exist_ok=True)
        wheel = self.wheel(name, version, aside)
        project = f'[project]\nname = "{name}"\nversion = "{version}"\n'
        system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        backend = _BACKEND.format(marks=str(self.marks), go=str(self.go), wheel=str(wheel), error=error)
        files = {"pyproject.toml": project + system, "backend.py": backend}
        files["PKG-INFO"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        with tarfile.open(self.folder / f"{name}-{version}.tar.gz", "w:gz") as archive:
            for one, text in files.items():
                member = tarfile.TarInfo(f"{name}-{version}/{one}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))

    def builds(self) -> list[int]:
        """Process ids of the builds that have begun."""
        return [int(one) for one in self.marks.read_text().split()] if self.marks.exists() else []
