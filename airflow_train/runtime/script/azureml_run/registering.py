"""`run.register_model`: a version is taken now, and filled by whoever judges the run, when its outputs are collected.

RUN/registrations/KEY.json                the order: model, path, tags …; what it asks for is done once, however often
                                          it is carried out. KEY is a hash of run and path
MODELS/NAME/000003/claim.json             version 3 is taken for KEY; the same names as `models/registry.py` uses
MODELS/NAME/by_run/KEY/0001.json          … and KEY finds it
"""

from __future__ import annotations

import hashlib
import json
import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airflow_train.runtime.script.azureml_run import documents
    from airflow_train.runtime.script.train_run import WrongValue, without_secrets
else:
    from azureml_run import documents
    from train_run import WrongValue, without_secrets

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-._]{0,254}")
_SHOWN = 20


class Model:
    """A version of a model that this script registered: `name`, `version`, `id`. Its files follow at the run's end.

    `version` is 0 where there is no run, or where the number is given later.
    """

    def __init__(self, name: str, version: int, facts: dict[str, Any]) -> None:
        self.name, self.version, self.id = name, version, f"{name}:{version}"
        self.tags, self.properties = facts["tags"], facts["properties"]
        self.description, self.run_id = facts["description"], facts["run_id"]

    def __repr__(self) -> str:
        return f"Model(name={self.name!r}, version={self.version})"


def facts(run_id: str, name: Any, path: Any, **others: Any) -> dict[str, Any]:
    """What an order says.

    :raises WrongValue: a value breaks a rule.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise WrongValue(
            f"run.register_model: the model's name is {name!r} but must be 1 to 255 letters, digits, '-', '.' or '_' "
            "and start with a letter or digit."
        )
    without_secrets(name, "run.register_model: the model's name")
    if others["model_framework_version"] and not others["model_framework"]:
        raise WrongValue(
            f"run.register_model({name!r}) got a model_framework_version without a model_framework; give both, or none."
        )
    for what in ("tags", "properties"):
        given = others[what] or {}
        if not hasattr(given, "items"):
            raise WrongValue(f"run.register_model({name!r}): {what} are {given!r} but must be a dict.")
        others[what] = {str(key): "" if value is None else str(value) for key, value in given.items()}
    for what in ("model_framework", "model_framework_version", "description"):
        others[what] = None if others[what] is None else str(others[what])
    wanted = os.path.normpath(str(path if path else name)).replace(os.sep, "/")
    return {"run_id": run_id, "model_name": name, "model_path": wanted, **others}


def check_path(files: str, work: str, name: str, path: str) -> None:
    """:raises WrongValue: nothing lies at `path`, neither among the run's files nor below ./outputs."""
    outside = path.startswith(("../", "/")) or path == ".."
    in_outputs = path == "outputs" or path.startswith("outputs/")
    if not outside and (
        os.path.exists(os.path.join(files, path)) or (in_outputs and os.path.exists(os.path.join(work, path)))
    ):
        return
    kept = [one for one in below(files, "") if not one.startswith(("user_logs/", "system_logs/"))]
    there = kept + below(work, "outputs")
    found = f"it has {', '.join(there[:_SHOWN])}" if there else "it has none yet"
    raise WrongValue(
        f"run.register_model({name!r}): the run has no file or folder {path!r}; {found}; upload it, or write it to "
        "./outputs, before it is registered."
    )


def order(run_folder: str, models: str, wanted: dict[str, Any]) -> Model:
    """Leave the order, take a version for it. The same path of the same run again gives the version it has."""
    key = hashlib.sha256(json.dumps([wanted["run_id"], wanted["model_path"]]).encode()).hexdigest()[:32]
    name = wanted["model_name"]
    # one path may become several models
    document = os.path.join(run_folder, "registrations", f"{name}-{key}.json")
    documents.create(document, {"at": documents.stamp(), **wanted})
    return Model(name, _claim(os.path.join(models, name), key) if models else 0, wanted)


def _claim(model: str, key: str) -> int:
    by_run = os.path.join(model, "by_run", key)
    while True:
        number = max(documents.numbers(by_run), default=0)
        if number:
            version = int(documents.read(_numbered(by_run, number))["version"])
            if not os.path.exists(os.path.join(_version(model, version), "deleted.json")):
                return version
        version = _take(model, key)
        if documents.create(_numbered(by_run, number + 1), {"version": version}):
            return version


def _take(model: str, key: str) -> int:
    version = 1
    for taken in documents.numbers(model):
        claimed_by = _claimed_by(model, taken)
        finished = os.path.exists(os.path.join(_version(model, taken), "model.json"))
        if claimed_by == key and not finished:
            return taken
        if finished or claimed_by:
            version = max(version, taken + 1)
    claim = {"key": key, "at": documents.stamp(), "token": os.urandom(8).hex()}
    while not documents.create(os.path.join(_version(model, version), "claim.json"), claim):
        if _claimed_by(model, version) == key:
            return version
        version += 1
    return version


def _claimed_by(model: str, version: int) -> str:
    claim = documents.read(os.path.join(_version(model, version), "claim.json"))
    return "" if claim is None else str(claim["key"])


def _version(model: str, version: int) -> str:
    return os.path.join(model, "%06d" % version)


def _numbered(folder: str, number: int) -> str:
    return os.path.join(folder, "%04d.json" % number)


def below(root: str, folder: str) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(place, name), root).replace(os.sep, "/")
        for place, _, names in os.walk(os.path.join(root, folder))
        for name in names
        if not name.startswith(".airflow-train-tmp-")
    )
