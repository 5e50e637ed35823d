"""`airflow-train cleanup`: what runs have left on the engines of compute targets, and nobody owns any more."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from airflow_train.cli import codes, screen
from airflow_train.cli.visiting import visit
from airflow_train.store.run_store import open_store
from airflow_train.targets.base import Target


def cleanup(args: Namespace) -> int:
    """Remove, or with `--dry-run` show, what belongs to no run that goes on; who doesn't answer is passed over."""
    store = open_store()
    found: list[dict[str, Any]] = []

    def clean(name: str, target: Target) -> None:
        for one in target.leftovers(store):
            if one.age >= args.older_than:
                found.append({"target": name, **one.to_json(), "removed": not args.dry_run})
                if not args.dry_run:
                    target.remove(one)

    visit(clean)
    if args.json:
        screen.print_json(found)
    elif not found:
        screen.say("nothing is left that nobody owns")
    else:
        rows = [(one["target"], one["what"], one["run_id"], one["why"]) for one in found]
        screen.print_table(("target", "would remove" if args.dry_run else "removed", "run", "why"), rows)
    return codes.COMPLETED
