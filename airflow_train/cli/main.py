"""Entry point of `airflow-train`: every error ends as one sentence on standard error and an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_train.cli import codes, parser, screen
from airflow_train.exceptions import TrainError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Makes tracebacks of errors visible.
DEBUG = "AIRFLOW_TRAIN_DEBUG"


def main(argv: Sequence[str] | None = None, prog: str = "airflow-train") -> int:
    """Carry out one command line; returns the exit code.

    :param prog: how the command was called.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(
            stream, "reconfigure"
        ):  # a script's output may hold what the terminal's encoding can't show
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _carry_out(argv, prog)
        sys.stdout.flush()
    except SystemExit as leave:
        return int(leave.code or 0)
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the flush at exit has somewhere to go
        return codes.NOBODY_READS
    except KeyboardInterrupt:
        screen.say("interrupted")
        return codes.INTERRUPTED
    return code


def _carry_out(argv: Sequence[str] | None, prog: str) -> int:
    args = parser.build(prog).parse_args(argv)
    module, _, name = args.handler.partition(":")
    from airflow_train.targets import connections  # not for --help

    connections.provide(lambda conn_id: import_module("airflow_train.cli.secrets").connection(conn_id))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", FutureWarning)
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _Said()
            handler: Callable[[Any], int] = getattr(import_module(f"airflow_train.cli.{module}"), name)
            return handler(args)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:  # the last door before the user: no traceback unless asked for
        if os.environ.get(DEBUG):
            raise
        return _answer(args, error)


class _Said:
    """Shows a warning, once: a definition is checked again and again on its way to a run."""

    def __init__(self) -> None:
        self._texts: set[str] = set()

    def __call__(self, message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in self._texts:
            self._texts.add(str(message))
            screen.warn(message)


def _answer(args: Any, error: Exception) -> int:
    code, text = _judge(error)
    screen.error(text)
    if args.json and args.handler == "training:run":
        from airflow_train.cli import describe

        screen.print_json(describe.no_run(text))
    return code


def _judge(error: Exception) -> tuple[int, str]:
    if isinstance(error, TrainError):
        return codes.of_error(error), str(error)
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return codes.BAD_INPUT, f"{place}{error.strerror}; correct the path or its permissions."
    kind = type(error).__name__
    return codes.FAILED, f"unexpected {kind}: {error}; set {DEBUG}=1 for the traceback and report it."
