"""`airflow-train models …`: the model registry."""

from __future__ import annotations

from argparse import Namespace

from airflow_train.cli import codes, load, screen
from airflow_train.exceptions import ModelError
from airflow_train.lifecycle.run import Run
from airflow_train.models.model import Model


def list_(args: Namespace) -> int:
    """Versions of one model or of all, newest first."""
    found = Model.list(args.name, run_id=args.run)
    if args.json:
        screen.print_json([one.to_dict() for one in found])
        return codes.COMPLETED
    if not found:
        screen.say("no models" + (" that match" if args.name or args.run else ""))
        return codes.COMPLETED
    rows = (
        (
            one.id,
            one.created_time[:19].replace("T", " "),
            one.framework,
            screen.size(sum(one.files.values())),
            one.run_id,
            screen.pairs(dict(one.tags)),
        )
        for one in found
    )
    screen.print_table(("model", "created", "framework", "size", "run", "tags"), rows)
    return codes.COMPLETED


def show(args: Namespace) -> int:
    """Everything about a version."""
    _print(_model(args.model), args.json)
    return codes.COMPLETED


def register(args: Namespace) -> int:
    """Make files of a run a version; the same files again are the same version."""
    model = Run(args.run).register_model(
        args.name,
        args.path,
        tags=load.key_values("--tag", args.tag),
        properties=load.key_values("--property", args.property),
        description=args.description,
        model_framework=args.framework,
        model_framework_version=args.framework_version,
    )
    if args.json:
        screen.print_json(model.to_dict())
    else:
        print(model.id)
    return codes.COMPLETED


def download(args: Namespace) -> int:
    """Copy a version, its digests checked; prints where it lies."""
    model = _model(args.model)
    with screen.working(f"copying {model.id}"):
        try:
            path = model.download(args.to, exist_ok=args.force)
        except ModelError as error:
            raise ModelError(str(error).replace("pass exist_ok=True", "add --force")) from error
    if args.json:
        screen.print_json({"id": model.id, "path": path})
    else:
        print(path)
    return codes.COMPLETED


def delete(args: Namespace) -> int:
    """Remove one version, named exactly."""
    if ":" not in args.model:
        raise ModelError(
            f"{args.model!r} names no version; write it as {args.model}:1, one version at a time."
        )
    model = _model(args.model)
    model.delete()
    if args.json:
        screen.print_json({"id": model.id, "deleted": True})
    else:
        screen.say(f"deleted {model.id}; its number isn't used again")
    return codes.COMPLETED


def _model(text: str) -> Model:
    return Model(id=text) if ":" in text else Model(text)


def _print(model: Model, as_json: bool) -> None:
    if as_json:
        screen.print_json(model.to_dict())
        return
    screen.print_facts(
        [
            ("model", model.id),
            ("created", model.created_time),
            ("description", model.description),
            ("framework", " ".join(filter(None, (model.framework, model.framework_version)))),
            ("tags", screen.pairs(dict(model.tags))),
            ("properties", screen.pairs(dict(model.properties))),
            *((name.replace("_", " "), value) for name, value in model.lineage.items()),
        ]
    )
    print()
    screen.print_table(("file", "size"), ((name, screen.size(size)) for name, size in model.files.items()))
