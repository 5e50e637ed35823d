"""What of a job the docker target can't honour."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from airflow_train.environments import dockerfile
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from airflow_train.targets.docker import arguments, build, plan

#: option of the target → the argument of `docker run` that it stands for, once or for each of a list
_AS_ARGUMENT = {
    "cap_add": "--cap-add",
    "network": "--network",
    "read_only": "--read-only",
    "user": "--user",
    "volumes": "--volume",
}

#: part of a job → what people call it; each is refused as long as this target can't honour it
_NOT_HERE = {"inputs": "inputs"}


def problems_of(
    job: Mapping[str, Any], target: str, options: Mapping[str, Any], store: RunStore
) -> list[str]:
    """Everything that containers can't honour, one sentence each."""
    environment = job["environment"]
    words = [words for part, words in _NOT_HERE.items() if job[part]]
    problems = [
        f"{one} can't be honoured on the docker target; leave it out, or use an image that has what it asks for."
        for one in words
    ]
    problems += [f"docker argument {one}." for one in wanted(job, options).problems]
    if job["node_count"] > 1:
        problems += _problems_of_several(job, target, options)
    if not job["use_docker"]:
        problems.append("use_docker is false, but the docker target runs containers; use local.")
    recipe = build.recipe_for(job, options)
    if recipe is not None and (recipe.pip or recipe.conda or recipe.python):
        problems += _interpreter_problems(job, options, target)
    if recipe is None and not plan.image_of(job, options):
        problems.append(
            f"no image is named; give custom_docker_image, or set the option image of compute target {target!r}."
        )
    if only := dockerfile.buildkit_only((recipe and recipe.dockerfile) or ""):
        problems.append(
            f"the Dockerfile has {only}, which asks for BuildKit, but the engine's own builder is used; write it "
            "without, or build the image yourself and name it."
        )
    problems += _registry_problems(environment.get("registry") or {}, named=bool(environment.get("image")))
    mounted = wanted(job, options).host
    if environment.get("shared_volumes") is False and (
        options.get("shared_store") or mounted.get("Binds") or mounted.get("Mounts")
    ):
        problems.append(
            f"shared_volumes is false, but compute target {target!r} or docker arguments mount something; leave one of "
            "them out."
        )
    said = options.get("shared_store")
    if said and store.files.local_root is None:
        problems.append(
            f"shared_store of compute target {target!r} can't be honoured: the run store {store.uri} is no folder; "
            "leave it out, and what nodes write comes through the engine."
        )
    elif said and said is not True and not str(said).startswith("/"):
        problems.append(
            f"shared_store of compute target {target!r} is {said!r} but must be true or the absolute path of the run "
            "store on the engine's machine."
        )
    if store.files.uri.startswith("memory://"):
        problems.append("the run store is in this process's memory; set [train] store to a path.")
    return problems


def _problems_of_several(job: Mapping[str, Any], target: str, options: Mapping[str, Any]) -> list[str]:
    """What only a run with one container can have."""
    count, host = f"node_count is {job['node_count']}", wanted(job, options).host
    network = str(host.get("NetworkMode") or "")
    problems = []
    if network in ("host", "none", "bridge", "default") or network.startswith("container:"):
        problems.append(
            f"{count}, but nodes can't find each other in the network {network}; leave --network out, and the run gets "
            "a network of its own, or name one that `docker network create` has made."
        )
    if host.get("PortBindings"):
        problems.append(f"{count}, but a port can be published for one container only; leave --publish out.")
    if options.get("shared_store"):
        problems.append(
            f"{count}, but with shared_store of compute target {target!r} a run has one node; leave it out."
        )
    return problems


def _registry_problems(registry: Mapping[str, Any], *, named: bool) -> list[str]:
    """What is wrong with the login of a registry.

    :param named: whether the definition names the image, so that no other registry gets to know the login.
    """
    if registry.get("registry_identity"):
        mend = "give username and password, or leave it to a credential helper of the docker command."
        return [f"image_registry_details: registry_identity can't be honoured on the docker target; {mend}"]
    if bool(registry.get("username")) != bool(registry.get("password")):
        given, lacks = ("username", "password") if registry.get("username") else ("password", "username")
        return [f"image_registry_details has a {given} but no {lacks}; give both, or leave both out."]
    if registry.get("password") and not registry.get("address") and not named:
        mend = "give the address, so that no other registry gets to know it."
        return [f"image_registry_details has a login but no address, and no image says whose it is; {mend}"]
    return []


def _interpreter_problems(job: Mapping[str, Any], options: Mapping[str, Any], target: str) -> list[str]:
    """Packages are installed for the image's own Python."""
    named = job["interpreter_path"] or options.get("interpreter_path")
    if named in (None, "", "python", "python3"):
        return []
    whose = (
        "interpreter_path" if job["interpreter_path"] else f"interpreter_path of compute target {target!r}"
    )
    return [
        f"{whose} is {named}, but packages are installed for the image's own Python; leave one of them out."
    ]


def wanted(job: Mapping[str, Any], options: Mapping[str, Any]) -> arguments.Wanted:
    """What the arguments of `docker run` of a target and a job ask for together."""
    said: list[str] = []
    for option, flag in _AS_ARGUMENT.items():
        value = options.get(option)
        if option == "read_only" and value is not None:
            said.append(f"{flag}={str(value).lower()}")  # a template gives it as text
        elif value is not None:
            said += [f"{flag}={one}" for one in (value if isinstance(value, list) else [value])]
    said += [str(one) for one in options.get("arguments") or []]
    return arguments.parse([*said, *(job["environment"].get("docker_arguments") or [])])


def shared(options: Mapping[str, Any], run_id: str, store: RunStore) -> plan.Shared | None:
    """A run's folder on the engine's machine, if the user says that it sees the run store."""
    said, root = options.get("shared_store"), store.files.local_root
    if not said or root is None:
        return None
    owner = os.stat(root) if root.exists() else None
    user = f"{owner.st_uid}:{owner.st_gid}" if owner else f"{os.getuid()}:{os.getgid()}"
    return plan.Shared(f"{root if said is True else str(said).rstrip('/')}/{layout.run(run_id)}", user)
