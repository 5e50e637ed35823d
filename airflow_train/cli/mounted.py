"""The commands as `airflow train …`, where Airflow lets providers add commands (3.2 and later): the same parser.

Imported by every `airflow` command, so it imports nothing but what that has already. `airflow-train` is there with
every version of Airflow, and answers in a tenth of the time.
"""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from airflow.cli.cli_config import ActionCommand, Arg

PROG = "airflow train"


class _Everything(Arg):
    """Whatever follows is ours to read; so is the help."""

    def __init__(self) -> None:
        rest: dict[str, Any] = {"nargs": argparse.REMAINDER, "metavar": "COMMAND …"}
        super().__init__(flags=("command",), **rest)  # type: ignore[no-untyped-call]

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Called by Airflow for the parser of `airflow train`."""
        super().add_to_parser(parser)
        parser.print_help = _print_help  # type: ignore[method-assign]


def commands() -> list[ActionCommand]:
    """What Airflow mounts, as the provider's metadata says."""
    text = "Run training scripts, look at their runs, keep their models"
    return [ActionCommand(name="train", help=text, func=carry_out, args=(_Everything(),))]


def carry_out(args: Any) -> NoReturn:
    """Carry out one command line; leaves with the exit code of `airflow-train`."""
    from airflow_train.cli.main import main

    raise SystemExit(main(args.command, PROG))


def _print_help(file: Any = None) -> None:
    from airflow_train.cli import parser

    parser.build(PROG).print_help(file)
