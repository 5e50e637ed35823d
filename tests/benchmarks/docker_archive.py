"""Code into a container and outputs out of it, beside the engine's archive API with the same tar: ≥ 70 % of its speed.

Both take turns, for 5 000 small files and for one of 1 GiB: staging beside `put_archive` of the very tar that it sends,
from a file; collecting beside a `get_archive` of the very tar into one file on the same disk, which is the least that
anybody does who wants it here: 5 000 files of their own cost more than one, and that is part of what is measured;
`unpack`, which no budget counts, is what tarfile takes for them on top. Each begins when the disks have nothing left to
do. The memory is this process's own peak. Takes two minutes and 3 GiB of the engine's disk and of memory, where store
and archives lie if there is room: an ext4 without a journal passes over every inode that was deleted lately, so that a
new file costs 0.5 ms there beside 0.01 ms (measured after the deletion of some thousand), whoever makes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from airflow_train import targets
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.targets.docker import archive, collect, plan
from airflow_train.targets.docker.engine import Engine
from tests.targets.lab import DOCKER, IMAGE, Lab, docker

SMALL, LARGE = (5_000, 2_000), (1, 1 << 30)
_CHUNK = 1 << 20
_IN_MEMORY = Path("/dev/shm")


def measure(folder: Path) -> dict[str, Any]:
    """Of both shapes `stage_times_raw` and `collect_times_raw`, medians in seconds; `peak_mb` beyond the start."""
    roomy = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free > 4 * LARGE[1]
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if roomy else folder) as place:
        return _measure(Path(place))


def _measure(folder: Path) -> dict[str, Any]:
    lab = Lab(str(folder / "store"), folder, DOCKER)
    found: dict[str, Any] = {}
    try:
        _turn(lab, folder, (10, 10))  # imports and first connections
        before = _peak()
        for name, shape, repeats in (("small", SMALL, 3), ("large", LARGE, 2)):
            turns = [_turn(lab, folder, shape) for _ in range(repeats)]
            seconds = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
            found |= {f"{name}_{key}_seconds": round(value, 3) for key, value in seconds.items()}
            for what, raw in (("stage", "put"), ("collect", "get")):
                found[f"{name}_{what}_times_raw"] = round(seconds[what] / seconds[raw], 2)
        return {**found, "peak_mb": round((_peak() - before) / 1e6)}
    finally:
        lab.close()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def _turn(lab: Lab, folder: Path, shape: tuple[int, int]) -> dict[str, float]:
    """Seconds of `stage`, `put`, `collect`, `get` and `unpack`, each with a container of its own."""
    spec = _spec(lab, *shape)
    target: Any = targets.get(spec.target)
    made, engine = target.plan(spec, lab.store), target._engine
    pieces = archive.Archive(spec, made, lab.store, (0, 0), {})
    tar = folder / "code.tar"
    with tar.open("wb") as file:
        file.writelines(pieces)
    engine.create(made)
    found = {"stage": _timed(lambda: engine.put(made.container, plan.ROOT, iter(pieces)))}
    collect.sweep(spec, engine, lab.store)
    engine.create(made)
    with tar.open("rb") as file:
        found["put"] = _timed(lambda: engine.put(made.container, plan.ROOT, _read(file)))
    tar.unlink()
    _as_outputs(made)
    found["get"] = _timed(lambda: _fetch(engine, made, tar))
    with tempfile.TemporaryDirectory(dir=folder) as place, tarfile.open(tar) as whole:
        found["unpack"] = _timed(lambda: whole.extractall(place, filter="data"))
    tar.unlink()
    record = lab.store.record(spec.run_id)
    found["collect"] = _timed(lambda: collect.collect(record, made, engine, lab.store, None))
    count = len(list(lab.path(spec.run_id, "files", "outputs").rglob("file_*")))
    if count != shape[0]:
        raise RuntimeError(f"{count} of {shape[0]} files came home")
    collect.sweep(spec, engine, lab.store)
    for left in (layout.run(spec.run_id), layout.BLOBS):
        lab.store.files.delete_tree(left)
    return found


def _spec(lab: Lab, count: int, size: int) -> RunSpec:
    """A run whose code is so many files of so many bytes."""
    noise = os.urandom(_CHUNK)
    entries: list[list[Any]] = [[f"part_{number}", "d", 0o755] for number in range(-(-count // 100))]
    for number in range(count):
        pieces = [noise] * (size // _CHUNK) + [noise[: size % _CHUNK], b"%08d" % number]
        digest = _blob(lab, pieces)
        entries.append([f"part_{number // 100}/file_{number}", "f", 0o644, size + 8, digest])
    snapshot = hashlib.sha256(repr(entries).encode()).hexdigest()
    lab.store.files.create_json(layout.snapshot(snapshot), {"format": 1, "entries": entries})
    draft = lab.spec("pass")
    spec = replace(draft, snapshot={"id": snapshot, "files": count, "bytes": count * size})
    lab.store.create(spec)
    return spec


def _blob(lab: Lab, pieces: list[bytes]) -> str:
    """Keep a file as snapshots keep them; returns its digest."""
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(piece)
    assert lab.store.files.local_root is not None
    target = lab.store.files.local_root / layout.blob(whole.hexdigest())
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.writelines(pieces)
    return whole.hexdigest()


def _as_outputs(made: plan.DockerPlan) -> None:
    """Let the code in the run's volume be what a run has left there."""
    files = f"{plan.RUN_FOLDER}/{protocol.FILES_FOLDER}"
    report = f"{plan.RUN_FOLDER}/{protocol.node_folder(0)}/{protocol.REPORT_FILE}"
    script = f"mkdir -p {files} && mv {plan.CODE} {files}/{protocol.OUTPUTS_FOLDER} && echo '{{}}' > {report}"
    docker("run", "--rm", "-v", f"{made.volume}:{plan.ROOT}", IMAGE, "sh", "-c", script)


def _timed(work: Callable[[], object]) -> float:
    os.sync()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        yield piece


def _fetch(engine: Engine, made: plan.DockerPlan, tar: Path) -> None:
    """What the package docker itself needs for it."""
    stream, _ = engine.client().get_archive(made.container, plan.RUN_FOLDER)
    with tar.open("wb") as file:
        file.writelines(stream)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as scratch:
        print(json.dumps(measure(Path(scratch)), indent=2))
