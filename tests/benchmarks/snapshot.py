"""A snapshot of 10 000 files with one changed, over a bare `os.scandir` + `stat` walk: ≤ 3 ×, 2 × is the aim."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from airflow_train.store import snapshots
from airflow_train.store.files import Files

LIMIT = 3.0
ROUNDS = 15
_RULES = """\
# a dozen rules
__pycache__/
*.py[cod]
.venv/
/build/
dist/
*.egg-info/
.ipynb_checkpoints
*.log
!keep.log
/data/**/*.csv
.cache
**/tmp/*
"""


def measure(folder: Path | None = None, files: int = 10_000) -> dict[str, Any]:
    """Medians in ms and their ratio `times_the_walk`; walk and snapshot take turns, so both see the same machine."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        root = Path(place)
        before = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")
        try:
            return _measure(root, files)
        finally:
            os.environ.pop("XDG_CACHE_HOME")
            if before is not None:
                os.environ["XDG_CACHE_HOME"] = before


def _measure(root: Path, files: int) -> dict[str, Any]:
    source = root / "source"
    scripts = _generate(source, files)
    started = time.perf_counter()
    snapshots.take(Files.open(root / "store"), source)
    first = time.perf_counter() - started
    walks, takes, ids = [], [], set()
    for number in range(ROUNDS):
        scripts[number % len(scripts)].write_text(f"changed = {number}\n")
        started = time.perf_counter()
        seen = _walk(str(source))
        walks.append(time.perf_counter() - started)
        started = time.perf_counter()
        taken = snapshots.take(Files.open(root / "store"), source)
        takes.append(time.perf_counter() - started)
        ids.add(taken.id)
        if seen != taken.files + 1 or taken.files != files:  # one file is ignored
            raise RuntimeError(f"the walk saw {seen} files and the snapshot {taken.files} of {files}")
    if len(ids) != ROUNDS:
        raise RuntimeError("a change was missed")
    walk, take = statistics.median(walks), statistics.median(takes)
    return {
        "files": files,
        "walk_ms": round(walk * 1000, 2),
        "snapshot_ms": round(take * 1000, 2),
        "first_seconds": round(first, 3),
        "times_the_walk": round(take / walk, 2),
        "limit_times": LIMIT,
    }


def _generate(source: Path, files: int) -> list[Path]:
    """Folders of 100 modules each, and ignore rules as projects have them."""
    paths = [source / f"part_{number // 100:03}" / f"module_{number % 100}.py" for number in range(files - 2)]
    for number, path in enumerate(paths):
        if number % 100 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"value = {number}\n" * 20)
    (source / ".gitignore").write_text(_RULES)
    (source / "train.py").write_text("print(1)\n")
    (source / "x.log").write_text("ignored\n")
    return paths


def _walk(folder: str) -> int:
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                count += _walk(entry.path)
            else:
                entry.stat(follow_symlinks=False)
                count += 1
    return count


if __name__ == "__main__":
    print(measure())
