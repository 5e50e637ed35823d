"""`airflow-train run` and `airflow-train dry-run`: from a definition file to a run, or to what it would create."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from airflow_train.cli import codes, describe, environments, load, screen, secrets, watch
from airflow_train.lifecycle import meanwhile, observe
from airflow_train.lifecycle import submit as submitting
from airflow_train.lifecycle.cancel import cancel
from airflow_train.lifecycle.warned import warnings
from airflow_train.runs import ids
from airflow_train.runs.times import duration
from airflow_train.store import snapshots
from airflow_train.store.run_store import RunStore, open_store

if TYPE_CHECKING:
    from airflow_train.definitions.runnable import Runnable
    from airflow_train.runs.spec import RunSpec


def run(args: Namespace) -> int:
    """Submit, then show lines and phases until the end; `--json` leaves standard output to one object."""
    store = open_store()
    definition = load.definition(args.file, args.set, args.experiment)
    run_id = ids.drawn(str(definition.experiment))
    live = watch.Live(store, run_id, sys.stderr if args.json else sys.stdout)
    spec = _submit(store, args, definition, live)
    if args.detach:
        return _detach(store, spec, args.json)
    screen.say(f"run {spec.run_id} of experiment {spec.experiment} on {spec.target['name']}")
    view = watch.until_end(store, spec.run_id, live)
    code = codes.COMPLETED if view is None else watch.outcome(view, show_lines=False)
    if args.json:
        screen.print_json(describe.of_view(store, view or observe.look(store, spec.run_id)))
    elif view is not None:
        _sum_up(store, view)
    return code


def _submit(store: RunStore, args: Namespace, definition: Runnable, live: watch.Live) -> RunSpec:
    tags, run_id = load.key_values("--tag", args.tag), live.run_id
    working = screen.working("taking a snapshot of the source and starting the run")
    try:
        with working, meanwhile.shown(store, run_id, live):
            return submitting.submit(
                store,
                definition,
                run_id=run_id,
                compute_target=args.target,
                tags=tags,
                origin={"kind": "cli", "file": args.file},
                secrets=secrets.source(),
            )
    except KeyboardInterrupt:
        if not store.exists(run_id):
            raise
        if store.record(run_id).phases[-1].name in ("pull", "build"):  # nobody would go on with it
            cancel(store, run_id, "interrupted while its image was made ready")
            screen.say(f"interrupted while its image was made ready; run {run_id} is cancelled")
        else:  # too late to have done nothing
            submitting.submit(store, definition, run_id=run_id, secrets=secrets.source())
            screen.say(f"interrupted, but run {run_id} exists already; {watch.come_back(run_id)}")
        raise


def _detach(store: RunStore, spec: RunSpec, json: bool) -> int:
    if json:
        screen.print_json(describe.of_view(store, observe.look(store, spec.run_id)))
    else:
        print(spec.run_id)
        screen.say(f"started {spec.run_id}; {watch.come_back(spec.run_id)}")
    return codes.COMPLETED


def _sum_up(store: RunStore, view: observe.View) -> None:
    facts = describe.of_view(store, view)
    took = duration(facts["started"], facts["ended"])
    for name, value in (
        ("took", took),
        ("metrics", screen.pairs(facts["metrics"])),
        ("outputs", facts["outputs_uri"]),
    ):
        if value:
            screen.say(f"{name.ljust(7)}  {value}")
    for warning in warnings(store, view.record):
        screen.warn(f"{warning['source']}: {warning['message']}")


def dry_run(args: Namespace) -> int:
    """Show the plan and what would travel; writes nothing, the store included."""
    store = open_store()
    definition = load.definition(args.file, args.set, args.experiment)
    checked = submitting.check(store, definition, compute_target=args.target)
    with screen.working("looking at the source"):
        travels = snapshots.measure(
            checked.source, entry_script=checked.job["entry_script"], files=store.files
        )
    needs = checked.target.needs(checked.job)
    plan = submitting.dry_run(store, definition, compute_target=args.target)
    whole = {
        "experiment": checked.experiment,
        "target": dict(checked.resolved),
        "source_directory": str(checked.source),
        "snapshot": travels,
        "environment": environments.plain(needs),
        "plan": plan.to_json(),
    }
    if args.json:
        screen.print_json(whole)
        return codes.COMPLETED
    screen.print_facts(
        [
            ("experiment", checked.experiment),
            ("target", f"{checked.resolved['name']} ({checked.resolved['type']})"),
            ("source", checked.source),
            (
                "snapshot",
                f"{travels['files']} file{'s' * (travels['files'] != 1)}, {screen.size(travels['bytes'])}",
            ),
            ("environment", environments.words(needs)),
        ]
    )
    print("plan")
    screen.print_json(whole["plan"])
    return codes.COMPLETED
