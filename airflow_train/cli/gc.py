"""`airflow-train gc`: environments and images that were built for runs and that no run has used for long."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from airflow_train import definitions, targets
from airflow_train.cli import codes, screen
from airflow_train.exceptions import TrainError
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.targets.base import Target


def gc(args: Namespace) -> int:
    """Remove, or with `--dry-run` show, what has been idle for long; who doesn't answer is passed over."""
    store, named = open_store(), definitions.named_targets()
    if args.target is not None:
        definitions.resolve_compute_target(args.target)  # says what is wrong with a name
    found: list[dict[str, Any]] = []
    for name, resolved in named.items():
        if resolved["type"] not in targets.types() or args.target not in (None, name):
            continue
        try:
            _prune(name, targets.get(resolved), store, args, found)
        except TrainError as error:
            screen.warn(f"compute target {name} wasn't looked at: {error}")
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


def _prune(name: str, target: Target, store: RunStore, args: Namespace, found: list[dict[str, Any]]) -> None:
    for one in target.kept(store):
        known = any(each["what"] == one.what for each in found)  # two names of one place
        young = one.key and one.idle < args.older_than  # without a key, it is what a killed build left
        if known or one.in_use or young:
            continue
        if args.dry_run or target.forget(one):
            found.append({"target": name, **one.to_json(), "removed": not args.dry_run})


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
