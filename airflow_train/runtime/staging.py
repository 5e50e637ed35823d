"""Code on its way into the working directory."""

from __future__ import annotations

import json
import os

from airflow_train.runtime import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    Tick = Callable[[str], None]


class NotLaidOut(Exception):
    """Code or checkpoints aren't where the script looks for them; the message is half a sentence."""

    #: The verdict's.
    reason = "infrastructure"


def lay_out(launch: dict[str, Any], tick: Tick) -> None:
    """Put the code and what the script goes on from into place.

    :raises NotLaidOut: that can't be done.
    """
    try:
        count = stage(launch["snapshot"], launch["work_folder"], tick)
    except (OSError, ValueError) as error:
        raise NotLaidOut("the code could not be staged: %s" % error) from error
    print(protocol.timestamp(), "staged %d files in %s" % (count, launch["work_folder"]), flush=True)
    for one in launch.get("checkpoints") or []:
        from airflow_train.runtime import checkpoints  # every run waits for this process's imports

        try:
            count = checkpoints.copy(one["source"], one["target"], tick)
        except OSError as error:
            reason = error.strerror or error
            place = error.filename if str(error.filename).startswith(one["source"]) else one["source"]
            raise NotLaidOut("the checkpoints in %s could not be copied: %s" % (place, reason)) from error
        print(protocol.timestamp(), "copied %d files of %s" % (count, one["source"]), flush=True)


def stage(snapshot: dict[str, str], work: str, tick: Tick) -> int:
    """Lay a snapshot out in a fresh working directory; returns the number of files.

    :param snapshot: paths of the `manifest` and of the folder of `blobs`, or of the `folder` where the files lie
        already, which becomes the working directory; an empty dict stages nothing.
    :param tick: told now and then how far it has come; may raise.
    :raises ValueError: a blob doesn't have the content that the manifest names.
    """
    try:
        os.makedirs(work)
    except FileExistsError:  # of a supervisor that was killed
        import shutil

        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
    if not snapshot:
        return 0
    if "folder" in snapshot:
        os.rename(snapshot["folder"], work)
        return sum(len(names) for _, _, names in os.walk(work))
    with open(snapshot["manifest"], encoding="utf-8") as file:
        entries = json.load(file)["entries"]
    folders = [entry for entry in entries if entry[1] == "d"]
    for entry in folders:
        os.makedirs(os.path.join(work, entry[0]), exist_ok=True)
    count = 0
    for entry in entries:
        target = os.path.join(work, entry[0])
        if entry[1] == "l":
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.symlink(entry[2], target)
        elif entry[1] == "f":
            digest = entry[4]
            _copy_blob(os.path.join(snapshot["blobs"], digest[:2], digest), target, digest)
            os.chmod(target, entry[2])
            count += 1
            if count % 20 == 0 or entry[3] > 1 << 20:
                tick("%d files so far" % count)
    for entry in reversed(folders):
        os.chmod(os.path.join(work, entry[0]), entry[2] | 0o700)
    return count


def _copy_blob(blob: str, target: str, digest: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    import hashlib  # every run waits for this process's imports, and one in a container copies no blob

    found = hashlib.sha256()
    with open(blob, "rb") as source, open(target, "xb") as copy:
        while True:
            chunk = source.read(1 << 20)
            if not chunk:
                break
            found.update(chunk)
            copy.write(chunk)
    if found.hexdigest() != digest:
        raise ValueError("the stored copy of %s is damaged (its SHA-256 isn't %s)" % (target, digest))
