"""`airflow-train runs …`: looking at runs, their output and files, and asking them to stop."""

from __future__ import annotations

import difflib
import itertools
import json
import sys
import time
from argparse import Namespace
from collections.abc import Iterable

from airflow_train.cli import codes, describe, screen, watch
from airflow_train.exceptions import DefinitionError, RunNotFound
from airflow_train.lifecycle import observe, said
from airflow_train.lifecycle.cancel import cancel as ask_to_stop
from airflow_train.lifecycle.follow import BUILD, Follower, LogLine
from airflow_train.lifecycle.run import Run
from airflow_train.runs.status import is_terminal
from airflow_train.runs.times import duration
from airflow_train.store import artifacts, index
from airflow_train.store.run_store import RunStore, open_store

#: How many of the newest ids are compared with one that doesn't exist.
_COMPARED = 2000


def list_(args: Namespace) -> int:
    """Newest runs first."""
    store = open_store()
    status = said.status("--status", args.status) if args.status else None
    for problem in observe.refresh(store):
        screen.warn(problem)
    found = store.list_runs(limit=args.limit or None, experiment=args.experiment, status=status)
    if args.json:
        screen.print_json([describe.as_json(store, one) for one in found])
        return codes.COMPLETED
    if not found:
        screen.say(f"no runs in {store.uri}" + (" that match" if status or args.experiment else ""))
        return codes.COMPLETED
    headers = ("run", "experiment", "status", "created", "took", "metrics")
    rows = (
        (
            one.run_id,
            one.experiment,
            one.status,
            one.created[:19].replace("T", " "),
            duration(one.started, one.ended),
            screen.pairs(dict(one.metrics or {})),
        )
        for one in found
    )
    screen.print_table(headers, rows)
    return codes.COMPLETED


def show(args: Namespace) -> int:
    """Everything about a run."""
    store = open_store()
    _look(store, args.run)
    view = observe.look(store, args.run, patient=_patiently)
    if args.json:
        screen.print_json(describe.in_full(store, view))
    else:
        describe.print_in_full(store, view)
    return codes.COMPLETED


def logs(args: Namespace) -> int:
    """Output of all ranks, of one or of those of a node, as far as it has come or until the run ends."""
    store = open_store()
    view = _look(store, args.run)
    record = view.record
    size, nodes = record.spec.world_size, int(record.spec.job["node_count"])
    nodes = max([nodes, *(int(one["node"]) + 1 for one in record.starts.values())])
    for option, number, count in (("rank", args.rank, size), ("node", args.node, nodes)):
        if number is not None and number >= count:
            there = f"{option}s 0 to {count - 1}" if count > 1 else f"{option} 0 only"
            raise DefinitionError(f"--{option} is {number} but run {args.run} has {there}; name one of them.")
    follower = Follower(store, args.run, args.rank, args.node)
    prefix = size > 1 and args.rank is None

    def show_lines(view: observe.View) -> None:
        _write(follower.drain() if view.terminal else follower.poll(), prefix, args.json)

    if not args.follow or view.terminal:
        _write(follower.drain(), prefix, args.json)
    else:
        watch.until_end(store, args.run, show_lines, asks=False)
    return codes.COMPLETED


def _write(lines: Iterable[LogLine], prefix: bool, as_json: bool) -> None:
    for line in lines:
        if as_json:
            rank, node = (None, None) if line.rank == BUILD else (line.rank, line.node or 0)
            text = json.dumps({"rank": rank, "node": node, "time": line.time, "text": line.text})
        else:
            text = f"[{line.speaker}] {line.text}" if prefix or line.rank == BUILD else line.text
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


def metrics(args: Namespace) -> int:
    """What a run logged."""
    store = open_store()
    _look(store, args.run)
    run = Run(args.run, store)
    found = run.get_system_metrics() if args.system else run.get_metrics()
    if args.json:
        screen.print_json_lists(found)
        return codes.COMPLETED
    if not found:
        screen.say(f"run {args.run} has {'no system' if args.system else 'logged no'} metrics")
        return codes.COMPLETED
    screen.print_table(
        ("metric", "last", "logged"), (_metric_row(name, value) for name, value in found.items())
    )
    return codes.COMPLETED


def _metric_row(name: str, value: object) -> tuple[object, ...]:
    if isinstance(value, dict):
        rows = max((len(column) if isinstance(column, list) else 1 for column in value.values()), default=0)
        return name, f"table of {', '.join(value)}", f"{rows} row{'s' * (rows != 1)}"
    if isinstance(value, list):  # logged value by value, or as a whole list
        return name, screen.number(value[-1]) if value else "", f"{len(value)} values"
    return name, screen.number(value), "once"


def files(args: Namespace) -> int:
    """Names of outputs, logs and uploads; one per line where no person reads."""
    store = open_store()
    _look(store, args.run)
    found = list(artifacts.names(store.files, args.run))
    if args.json:
        screen.print_json([name for name, _ in found])
    elif sys.stdout.isatty():
        screen.print_table(("file", "size"), ((name, screen.size(size)) for name, size in found))
    else:
        for name, _ in found:
            print(name)
    return codes.COMPLETED


def download(args: Namespace) -> int:
    """Copy files of a run; their names stay whole below the folder."""
    store = open_store()
    _look(store, args.run)
    with screen.working(f"copying files of {args.run}"):
        copied = Run(args.run, store).download_files(args.prefix, args.to)
    if args.json:
        screen.print_json([str(path) for path in copied])
    else:
        for path in copied:
            print(path)
    return codes.COMPLETED


def cancel(args: Namespace) -> int:
    """Ask a run to stop; doesn't wait for it."""
    store = open_store()
    before = _look(store, args.run)
    view = ask_to_stop(store, args.run, args.reason)
    if args.json:
        screen.print_json(describe.of_view(store, view))
    elif before.terminal:
        screen.say(f"run {args.run} had ended before: {before.status}")
    elif is_terminal(view.status):
        screen.say(f"run {args.run}: {view.status}")
    else:
        grace = view.record.spec.job["grace_seconds"]
        screen.say(f"asked run {args.run} to stop; what still runs after {grace:g} s is killed")
    return codes.COMPLETED


def wait(args: Namespace) -> int:
    """Wait for the end; the exit code tells how it was."""
    store = open_store()
    _look(store, args.run)
    view = watch.until_end(store, args.run, watch.Live(store, args.run, None))
    code = codes.INTERRUPTED if view is None else watch.outcome(view, show_lines=True)
    if args.json:
        screen.print_json(describe.of_view(store, view or observe.look(store, args.run)))
    return code


def _patiently(seconds: float) -> None:
    screen.say(f"its supervisor isn't heard; looking again in {seconds:g} s")
    time.sleep(seconds)


def _look(store: RunStore, run_id: str) -> observe.View:
    """:raises RunNotFound: there is no such run; the sentence names those that are called alike."""
    try:
        return observe.look(store, run_id)
    except RunNotFound as error:
        newest = (one for _, one in itertools.islice(index.newest(store.files), _COMPARED))
        near = difflib.get_close_matches(run_id, dict.fromkeys(newest), n=3)
        if not near:
            raise
        raise RunNotFound(
            f"there is no run {run_id} in {store.uri}; did you mean {' or '.join(near)}?"
        ) from error
