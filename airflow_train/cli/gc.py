"""`airflow-train gc`: environments and images that were built for runs and that no run has used for long."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from airflow_train.cli import codes, screen
from airflow_train.cli.visiting import visit
from airflow_train.store.run_store import open_store
from airflow_train.targets.base import Target


def gc(args: Namespace) -> int:
    """Remove, or with `--dry-run` show, what has been idle for long; who doesn't answer is passed over."""
    store = open_store()
    found: list[dict[str, Any]] = []
    seen: set[str] = set()

    def prune(name: str, target: Target) -> None:
        for one in target.kept(store):
            place = f"{target.type} {sorted(target.options.items())} {one.what}"
            young = one.key and one.idle < args.older_than  # without a key, it is what a killed build left
            if place in seen or one.in_use or young:  # seen: by another name of the same target
                continue
            if args.dry_run or target.forget(one):
                seen.add(place)
                found.append({"target": name, **one.to_json(), "removed": not args.dry_run})

    visit(prune, args.target)
    if args.json:
        screen.print_json(found)
    elif not found:
        screen.say("no run has left anything unused for that long")
    else:
        rows = [
            (one["target"], one["what"], screen.size(one["bytes"] or 0), _ago(one["idle"])) for one in found
        ]
        verb = "would remove" if args.dry_run else "removed"
        screen.print_table(("target", verb, "size", "last used"), rows)
    return codes.COMPLETED


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
