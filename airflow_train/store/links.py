"""Where a symbolic link of a source directory leads, found out without looking at anything outside of it."""

from __future__ import annotations

import os

_MOST_LINKS = 40


def inside(source: str, folder: str, name: str) -> str | None:
    """What a link says, fit to travel; None when it leads out of the source directory.

    An absolute target inside the source directory becomes a relative one: in the copy it leads to the copy. Links that
    lead nowhere, or round in circles, inside are fine.

    :param source: absolute path without links.
    :param folder: folder of the link below it, `""` or with a slash at its end; no link is on this way.
    """
    target = os.readlink(f"{source}/{folder}{name}")
    parts = _parts(folder)
    if target.startswith("/"):
        below = _below(source, target)
        if below is None or not _stays(source, [], below):
            return None
        return "../" * len(parts) + below
    return target if _stays(source, parts, target) else None


def _stays(source: str, parts: list[str], target: str) -> bool:
    """Walks as the kernel would, from the folder `parts`, and never takes a step outside."""
    at, ahead, links = list(parts), _parts(target)[::-1], 0
    while ahead:
        step = ahead.pop()
        if step == "..":
            if not at:
                return False
            at.pop()
            continue
        try:
            further = os.readlink("/".join((source, *at, step)))
        except OSError:  # no link, or nothing there
            at.append(step)
            continue
        links += 1
        if links > _MOST_LINKS:
            return True
        if further.startswith("/"):
            below = _below(source, further)
            if below is None:
                return False
            at, further = [], below
        ahead.extend(_parts(further)[::-1])
    return True


def _below(source: str, target: str) -> str | None:
    """An absolute path as one below the source directory, read as text; `..` steps stay for `_stays` to judge."""
    if target == source:
        return "."
    return target[len(source) + 1 :] if target.startswith(f"{source}/") else None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
