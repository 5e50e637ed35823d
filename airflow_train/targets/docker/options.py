"""Options of the docker target: which there are, and what each of them holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_train.definitions.image_text import ImageName
from airflow_train.definitions.values import is_deferred
from airflow_train.targets.docker.place import CONNECTION

_FLAGS = ("read_only", "tls_verify")
_LISTS = ("arguments", "cap_add", "volumes")
#: May be a number as well.
_USER = "user"
#: True or a path; whether it can be honoured depends on the run store, too.
_SHARED = "shared_store"
_TEXTS = (*(name for name in CONNECTION if name not in _FLAGS), "image", "interpreter_path", "network")
OPTIONS = (*_FLAGS, *_LISTS, *_TEXTS, _SHARED, _USER)


def problems_of(target: str, options: Mapping[str, Any]) -> list[str]:
    """What is wrong with the options of a compute target by themselves, one sentence each."""
    problems = [
        f"compute target {target!r} has the option {name!r}, which targets of type docker don't know; "
        f"they know {', '.join(sorted(OPTIONS))}."
        for name in sorted(set(options) - set(OPTIONS), key=str)
    ]
    for name in OPTIONS:
        value = options.get(name)
        if value is not None and not is_deferred(value) and (must := _must(name, value)):
            problems.append(f"option {name} of compute target {target!r} is {value!r} but must be {must}.")
    return problems


def _must(name: str, value: Any) -> str | None:
    """What an option must be that isn't."""
    if name in _FLAGS:
        fits = str(value).lower() in ("true", "false")
        return None if fits else f"true or false; write {name}: true"
    if name in _LISTS:
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return None if fits else f"a list of texts; write {name}: [one, two]"
    if name == _USER:
        fits = isinstance(value, str | int) and not isinstance(value, bool)
        return None if fits else "a user as docker run takes it; write user: 1000 or user: '1000:0'"
    if name == "image":
        kind = ImageName()
        fits = isinstance(value, str) and kind.fits(value)
        return None if fits else f"{kind.allowed}; {kind.mend}"
    if name in _TEXTS and not isinstance(value, str):
        return f"text; write {name}: '…'"
    return None
