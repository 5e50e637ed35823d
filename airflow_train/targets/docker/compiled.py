"""The runtime with byte code of an image's own Python, which may be of another version than the submitter's.

Without it supervisor, connection and rank wrapper compile the runtime in every container anew: a tenth of a second of
a core for each node. So a container of the image alone, which nothing of the user's ever gets into, compiles it once
for all runs; the run store keeps it by the image's id, and nobody runs byte code that another image made.
"""

from __future__ import annotations

import binascii
import hashlib
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
        found = _kept(identity, store)
        if found is None:
            said = _said(engine, made, own)
            if said is None:
                return own
            found = _zipapp(said)
            _keep(identity, found, store)
        _known[identity] = found
    return _known[identity] or own


def _kept(identity: str, store: RunStore) -> bytes | None:
    """What the store has for an image; empty where that is the submitter's own."""
    digest = store.files.read_or_none(_name(identity))
    return store.files.read_or_none(_name(digest.decode())) if digest else digest


def _keep(identity: str, found: bytes, store: RunStore) -> None:
    """Keep it by its own digest, as most images have the same, and that by the image's."""
    digest = hashlib.sha256(found).hexdigest() if found else ""
    if found:
        store.files.create(_name(digest), found)
    store.files.create(_name(identity), digest.encode())


def _name(digest: str) -> str:
    return f"{bundle.folder()}/compiled/{digest.rpartition(':')[2]}"


def _said(engine: Engine, made: plan.DockerPlan, own: bytes) -> bytes | None:
    """What the compiler says; None where there can't be one, it isn't done in time, or another submitter is at it."""
    one = helpers.compiler(made)
    try:
        if not engine.create(one):
            return None  # a killed submitter's goes when the run is swept
        try:
            engine.put(one.container, "/", archive.single(helpers.ZIPAPP.lstrip("/"), own))
            engine.start(one.container)
            with suppress(EngineUnreachable):  # that is what it says of one that takes too long, too
                engine.wait(one.container, _PATIENCE)
            found = engine.inspect(one.container)
            done = found is not None and found["State"]["Status"] == "exited"
            return engine.last_words(one.container) if done else None
        finally:
            engine.remove(one.container)
    except EngineUnreachable:
        raise
    except InfrastructureFailure:
        return None  # the node's own container is refused for the same reason, in a sentence


def _zipapp(said: bytes) -> bytes:
    """Of what a compiler has said; empty where that is nothing, or what the submitter has."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        found = json.loads(said)
        code = {name: _bytes(text) for name, text in found["code"].items()}
        if _bytes(found["magic"]) != importlib.util.MAGIC_NUMBER:
            return bundle.with_code(code)
    return b""


def _bytes(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)
