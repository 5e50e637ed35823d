"""The runtime with byte code of an image's own Python, which may be of another version than the submitter's.

Without it supervisor, connection and rank wrapper compile the runtime in every container anew: a tenth of a second of
a core for each node. So a container of the image alone, which nothing of the user's ever gets into, compiles it once
for all runs; the run store keeps it by the image's id, and nobody runs byte code that another image made.
"""

from __future__ import annotations

import binascii
import importlib.util
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow_train.exceptions import InfrastructureFailure
from airflow_train.store.run_store import RunStore
from airflow_train.targets import bundle
from airflow_train.targets.docker import archive, helpers, plan
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import EngineUnreachable

#: Seconds that it may take; a node does the same in a tenth of one.
_PATIENCE = 30.0
#: Image → its zipapp, as this process knows it; empty where it is the submitter's own.
_known: dict[str, bytes] = {}


def runtime(engine: Engine, made: plan.DockerPlan, image: Mapping[str, Any], store: RunStore) -> bytes:
    """The zipapp for containers of an image; the submitter's own where the image can't compile it.

    :raises EngineUnreachable: it doesn't answer.
    """
    own, identity = bundle.contents()[1], str(image["Id"])
    if identity not in _known:
        name = f"{bundle.folder()}/images/{identity.rpartition(':')[2]}.pyz"
        kept = store.files.read_or_none(name)
        if kept is None:
            found = _compiled(engine, made, own)
            if found is None:
                return own
            kept = b"" if found["magic"] == importlib.util.MAGIC_NUMBER else bundle.with_code(found["code"])
            store.files.create(name, kept)
        _known[identity] = kept
    return _known[identity] or own


def _compiled(engine: Engine, made: plan.DockerPlan, own: bytes) -> dict[str, Any] | None:
    """`magic` and `code` as the image's Python compiles it; None where it has none, or another submitter is at it."""
    one = helpers.compiler(made)
    said = b""
    try:
        if not engine.create(one):
            return None  # a killed submitter's goes when the run is swept
        try:
            engine.put(one.container, "/", archive.single(helpers.ZIPAPP.lstrip("/"), own))
            engine.start(one.container)
            engine.wait(one.container, _PATIENCE)
            said = engine.last_words(one.container)
        finally:
            engine.remove(one.container)
    except EngineUnreachable:
        raise
    except InfrastructureFailure:
        return None  # the node's own container is refused for the same reason, in a sentence
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        found = json.loads(said)
        code = {name: _bytes(text) for name, text in found["code"].items()}
        return {"magic": _bytes(found["magic"]), "code": code}
    return None


def _bytes(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)
