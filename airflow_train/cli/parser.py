"""Every command and option of `airflow-train`. Nothing heavy is imported here: `--help` answers at once."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

_FILE = "YAML file of a definition"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MODEL = "name, or name:version; the newest version when none is named"


class Parser(argparse.ArgumentParser):
    """Answers a wrong command line with one sentence and exit code 2."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; `{self.prog} --help` shows what is allowed.\n")


def build(prog: str = "airflow-train") -> Parser:
    """The whole command line. `handler` of the parsed arguments names what carries the command out."""
    parser = Parser(
        prog=prog,
        description="Run training scripts, look at their runs, keep their models.",
        epilog="Exit codes: 0 completed or detached, 1 failed, 2 bad input, 3 cancelled, 130 interrupted. "
        "The run store is AIRFLOW_TRAIN_STORE, or [train] store of airflow.cfg.",
    )
    parser.add_argument("--version", action=_Version, help="show the version and leave")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="COMMAND")
    _run(commands)
    _runs(commands)
    _models(commands)
    _environments(commands)
    _checks(commands)
    return parser


class _Version(argparse.Action):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(nargs=0, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from airflow_train import __version__

        print(f"airflow-train {__version__}")
        parser.exit(0)


def _command(commands: Any, name: str, handler: str, text: str, json: str | None = None) -> Parser:
    parser: Parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(handler=handler, json=False)
    if json:
        parser.add_argument("--json", action="store_true", help=json)
    return parser


def _run(commands: Any) -> None:
    run = _command(
        commands,
        "run",
        "training:run",
        "start a run and show it until it ends",
        "print one JSON object at the end",
    )
    _definition(run)
    run.add_argument(
        "--tag", metavar="KEY=VALUE", action="append", default=[], help="tag the run; may be repeated"
    )
    run.add_argument("--detach", action="store_true", help="start it and leave; prints the run id")
    dry = _command(
        commands,
        "dry-run",
        "training:dry_run",
        "show exactly what a run would create",
        "print one JSON object",
    )
    _definition(dry)


def _definition(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help=_FILE)
    parser.add_argument("--target", metavar="NAME", help="compute target instead of the definition's")
    parser.add_argument(
        "--set",
        metavar="PATH=YAML",
        action="append",
        default=[],
        help="set a value of the definition, as in script_params.--lr=0.1; a name with dots in double quotes, as in "
        "'script_params.\"--opt.lr\"=3'; may be repeated",
    )
    parser.add_argument("--experiment", metavar="NAME", help="experiment instead of the definition's")


def _runs(commands: Any) -> None:
    group = commands.add_parser("runs", help="list, show, follow, cancel runs", description="Look at runs.")
    runs = group.add_subparsers(metavar="COMMAND", required=True, dest="COMMAND")

    found = _command(runs, "list", "runs:list_", "list runs, newest first", "print a JSON list")
    found.add_argument("--experiment", metavar="NAME", help="only runs of this experiment")
    found.add_argument("--status", metavar="STATUS", help="only runs of this status, e.g. Running or Failed")
    found.add_argument(
        "--limit", metavar="N", type=_count, default=50, help="newest N at most, 50 by default; 0 for all"
    )

    _one(runs, "show", "show everything about a run", "print one JSON object")
    logs = _one(
        runs,
        "logs",
        "print the output of a run",
        'print JSON lines {"rank", "node", "time", "text"}; rank null: a builder',
    )
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    one = logs.add_mutually_exclusive_group()
    one.add_argument("--rank", metavar="N", type=_count, help="only this rank, counted over all nodes")
    one.add_argument("--node", metavar="N", type=_count, help="only the ranks of this node")
    metrics = _one(
        runs, "metrics", "show what a run logged", "print one JSON object, metric to value or list of values"
    )
    metrics.add_argument("--system", action="store_true", help="processor and memory of each node instead")
    _one(runs, "files", "list the files of a run", "print a JSON list of names")
    download = _one(runs, "download", "copy files of a run to here", "print a JSON list of paths")
    download.add_argument("--prefix", metavar="PREFIX", default="", help="only files below it, e.g. outputs")
    download.add_argument(
        "--to", metavar="FOLDER", default=".", help="folder to copy to; the current one by default"
    )
    cancel = _one(runs, "cancel", "ask a run to stop", "print one JSON object")
    cancel.add_argument("--reason", metavar="TEXT", default="", help="why; the run's record keeps it")
    _one(runs, "wait", "wait until a run has ended", "print one JSON object at the end")


def _one(commands: Any, name: str, text: str, json: str) -> Parser:
    parser = _command(commands, name, f"runs:{name}", text, json)
    parser.add_argument("run", metavar="RUN", help="run id, as `runs list` shows it")
    return parser


def _models(commands: Any) -> None:
    group = commands.add_parser(
        "models", help="list, register, download models", description="Look after models."
    )
    models = group.add_subparsers(metavar="COMMAND", required=True, dest="COMMAND")

    found = _command(
        models, "list", "models:list_", "list versions of models, newest first", "print a JSON list"
    )
    found.add_argument("--name", metavar="NAME", help="only versions of this model")
    found.add_argument("--run", metavar="RUN", help="only versions that this run made")
    show = _command(models, "show", "models:show", "show everything about a model", "print one JSON object")
    show.add_argument("model", metavar="NAME[:VERSION]", help=_MODEL)

    register = _command(
        models,
        "register",
        "models:register",
        "make files of a run a new version of a model",
        "print one JSON object",
    )
    register.add_argument("run", metavar="RUN", help="run id, as `runs list` shows it")
    register.add_argument("--name", metavar="NAME", required=True, help="name of the model")
    register.add_argument(
        "--path", metavar="PATH", help="file or folder of the run; the model's name by default"
    )
    register.add_argument("--tag", metavar="KEY=VALUE", action="append", default=[], help="may be repeated")
    register.add_argument(
        "--property", metavar="KEY=VALUE", action="append", default=[], help="may be repeated"
    )
    register.add_argument("--description", metavar="TEXT", help="text for people")
    register.add_argument("--framework", metavar="NAME", help="what it was made with, e.g. ScikitLearn")
    register.add_argument("--framework-version", metavar="VERSION", help="version of that")

    download = _command(
        models,
        "download",
        "models:download",
        "copy a model to here; prints its path",
        "print one JSON object",
    )
    download.add_argument("model", metavar="NAME[:VERSION]", help=_MODEL)
    download.add_argument(
        "--to", metavar="FOLDER", default=".", help="folder to copy to; the current one by default"
    )
    download.add_argument("--force", action="store_true", help="replace what is there")
    delete = _command(
        models, "delete", "models:delete", "remove a version of a model", "print one JSON object"
    )
    delete.add_argument(
        "model", metavar="NAME:VERSION", help="the version to remove; its number isn't used again"
    )


def _environments(commands: Any) -> None:
    group = commands.add_parser(
        "environments", help="list, show, register environments", description="Look after environments."
    )
    environments = group.add_subparsers(metavar="COMMAND", required=True, dest="COMMAND")
    _command(
        environments,
        "list",
        "environments:list_",
        "list registered environments, newest versions",
        "print a JSON list",
    )
    show = _command(
        environments, "show", "environments:show", "show a registered environment", "print one JSON object"
    )
    show.add_argument("environment", metavar="NAME[:VERSION]", help="the newest version when none is named")
    register = _command(
        environments,
        "register",
        "environments:register",
        "make a file a version of its environment; the same content again is the same version",
        "print one JSON object",
    )
    register.add_argument("file", metavar="FILE", help="YAML file of an environment: name, python, docker")


def _checks(commands: Any) -> None:
    validate = _command(
        commands,
        "validate",
        "checking:validate",
        "check definitions and the files they name",
        "print a JSON list",
    )
    validate.add_argument("files", metavar="FILE", nargs="+", help=_FILE)
    _command(commands, "schema", "checking:schema", "print the JSON schema of definitions, for editors")
    _command(
        commands,
        "doctor",
        "doctor:doctor",
        "say what works here and what to do about the rest",
        "print a JSON list",
    )

    cleanup = _command(
        commands,
        "cleanup",
        "cleanup:cleanup",
        "remove what runs have left on engines and nobody owns",
        "print a JSON list",
    )
    cleanup.add_argument("--dry-run", action="store_true", help="only show it")
    cleanup.add_argument(
        "--older-than",
        metavar="AGE",
        type=_seconds,
        default=3600.0,
        help="only what is older, e.g. 90s, 10m, 2h, 1d; an hour by default",
    )
    gc = _command(
        commands,
        "gc",
        "gc:gc",
        "remove environments and images that no run has used for long",
        "print a JSON list",
    )
    gc.add_argument("--dry-run", action="store_true", help="only show them")
    gc.add_argument("--target", metavar="NAME", help="only those of this compute target")
    gc.add_argument(
        "--older-than",
        metavar="AGE",
        type=_seconds,
        default=30 * 86400.0,
        help="only those that no run has used for that long, e.g. 10m, 2h, 7d; 30 days by default",
    )


def _seconds(text: str) -> float:
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90s, 10m, 2h or 1d")
    return float(int(number) * _UNITS[unit])


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)
