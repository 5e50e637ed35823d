"""`airflow-train validate` and `airflow-train schema`: definitions before they run."""

from __future__ import annotations

import json
from argparse import Namespace

from airflow_train import definitions
from airflow_train.cli import codes, environments, load, screen
from airflow_train.store.run_store import open_store


def validate(args: Namespace) -> int:
    """Everything that is wrong with the files, what they name and their targets; starts and writes nothing."""
    store = open_store()
    results = []
    for file in args.files:
        problems, needs = load.inspected(store, file)
        built = environments.plain(needs)
        results.append({"file": file, "ok": not problems, "problems": problems, "environment": built})
        for problem in problems:
            screen.error(problem)
        if not problems and not args.json:
            print(f"ok {file}")
            if needs is not None:
                print(f"   environment {environments.words(needs)}")
    if args.json:
        screen.print_json(results)
    return codes.COMPLETED if all(one["ok"] for one in results) else codes.BAD_INPUT


def schema(args: Namespace) -> int:
    """The JSON schema of definition files."""
    print(json.dumps(definitions.json_schema(), indent=2))
    return codes.COMPLETED
