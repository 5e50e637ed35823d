"""`airflow-train cleanup`: what runs have left on the engines of compute targets, and nobody owns any more."""

from __future__ import annotations

from argparse import Namespace

from airflow_train import definitions, targets
from airflow_train.cli import codes, screen
from airflow_train.exceptions import TrainError
from airflow_train.store.run_store import open_store


def cleanup(args: Namespace) -> int:
    """Remove, or with `--dry-run` show, what belongs to no run that goes on; who doesn't answer is passed over."""
    store = open_store()
    found = []
    for name, resolved in definitions.named_targets().items():
        if resolved["type"] not in targets.types():
            continue
        try:
            target = targets.get(resolved)
            for one in target.leftovers(store):
                if one.age >= args.older_than:
                    found.append({"target": name, **one.to_json(), "removed": not args.dry_run})
                    if not args.dry_run:
                        target.remove(one)
        except TrainError as error:
            screen.warn(f"compute target {name} wasn't looked at: {error}")
    if args.json:
        screen.print_json(found)
    elif not found:
        screen.say("nothing is left that nobody owns")
    else:
        rows = [(one["target"], one["what"], one["run_id"], one["why"]) for one in found]
        screen.print_table(("target", "would remove" if args.dry_run else "removed", "run", "why"), rows)
    return codes.COMPLETED
