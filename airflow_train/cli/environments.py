"""`airflow-train environments …`: registered environments; and what is built for a definition, in words."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from airflow_train.cli import codes, screen
from airflow_train.definitions.environment import Environment
from airflow_train.definitions.package_text import conda_name
from airflow_train.environments import registry
from airflow_train.environments.recipe import Needed, Recipe
from airflow_train.store.run_store import open_store


def list_(args: Namespace) -> int:
    """The newest version of every name."""
    found = registry.newest(open_store().files)
    if args.json:
        screen.print_json([_plain(one) for one in found.values()])
    elif not found:
        screen.say("no environments")
    else:
        rows = ((one.name, one.version, screen.pairs(_contents(one))) for one in found.values())
        screen.print_table(("environment", "version", "contents"), rows)
    return codes.COMPLETED


def show(args: Namespace) -> int:
    """Everything about a version."""
    found = registry.find(open_store().files, args.environment)
    if args.json:
        screen.print_json(_plain(found))
    else:
        screen.say(f"environment {found.name}:{found.version}")
        print(found.to_yaml(), end="")
    return codes.COMPLETED


def register(args: Namespace) -> int:
    """Make a file a version of its name; the same content again is the same version."""
    store = open_store()
    made = Environment.from_yaml(args.file, strict=True)
    store.prepare()
    kept = registry.register(store.files, made)
    if args.json:
        screen.print_json(_plain(kept))
    else:
        print(f"{kept.name}:{kept.version}")
    return codes.COMPLETED


def _plain(one: Environment) -> dict[str, Any]:
    return {"name": one.name, "version": int(one.version), "environment": one.to_dict()}


def _contents(one: Environment) -> dict[str, Any]:
    """What is in it: numbers of packages, and what they go into."""
    python, docker = one.python, one.docker
    conda = python.conda_dependencies
    counts = {
        "image": docker.base_image or ("of a Dockerfile" if docker.base_dockerfile else ""),
        "context": "yes" if docker.build_context else "",
        "python": conda.get_python_version() if conda else None,
        "conda": sum(conda_name(name) != "python" for name in conda.conda_packages) if conda else 0,
        "pip": len(python.pip_packages or ()) + (len(list(conda.pip_packages)) if conda else 0),
        "apt": len(docker.apt_packages or ()),
    }
    return {name: said for name, said in counts.items() if said}


def plain(needs: Needed | None) -> dict[str, Any] | None:
    """What is built, for programs; None where nothing is."""
    return None if needs is None else {"key": needs.key, "recipe": needs.recipe.to_json()}


def words(needs: Needed | None) -> str:
    """What is built, for people."""
    if needs is None:
        return "nothing is built; the interpreter or image is used as it is"
    recipe = needs.recipe
    said = [
        *([f"Python {recipe.python}"] if recipe.python else []),
        *(f"{name} {', '.join(one)}" for name, one in _lists(recipe).items() if one),
        *([f"on {recipe.base_image}"] if recipe.base_image else []),
        *(["a Dockerfile"] if recipe.dockerfile and not recipe.context else []),
        *([f"a build context ({recipe.context[:16]})"] if recipe.context else []),
        *([f"for {recipe.platform}"] if recipe.platform else []),
    ]
    return f"{needs.key}: {'; '.join(said)}"


def _lists(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    return {
        "conda": recipe.conda,
        "channels": recipe.conda_channels,
        "pip": tuple(line.partition(" --hash")[0] for line in recipe.pip),
        "apt": recipe.apt,
    }
