"""The runtime with byte code of an image's own Python, which may be of another version than the submitter's.

Without it supervisor and connection compile the runtime in every container anew: a tenth of a second of a core for each
node. So a container of the image alone, which nothing of the user's ever gets into, compiles it once
for all runs; the run store keeps it by engine and image, and nobody runs byte code that another image made.
"""

from __future__ import annotations

import binascii
import hashlib
import importlib.util
import json
from contextlib import suppress

from airflow_train.exceptions import InfrastructureFailure, StoreError
from airflow_train.store.run_store import RunStore
from airflow_train.targets import bundle
from airflow_train.targets.docker import archive, helpers, plan
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import EngineUnreachable

#: Seconds that it may take; a node does the same in a tenth of one.
_PATIENCE = 30.0
#: What this process knows: engine and image → zipapp; empty where the submitter's own is as good.
_known: dict[tuple[str, str], bytes] = {}


def runtime(engine: Engine, identity: str, made: plan.DockerPlan, image: str, store: RunStore) -> bytes:
    """The zipapp for containers of an image; the submitter's own where the image can't compile it.

    :param identity: of the engine: what one engine says of an image counts for no other.
    :param image: its id.
    :raises EngineUnreachable: it doesn't answer.
    """
    own, key = bundle.contents()[1], (identity, image)
    if key not in _known:
        name = _name(hashlib.sha256(f"{identity} {image}".encode()).hexdigest())
        found = _kept(name, store)
        if found is None:
            one = helpers.compiler(made, image)
            try:
                if not engine.create(one):
                    return own  # another submitter is at it; a killed one's goes when the run is swept
                said = _said(engine, one, own)
            except EngineUnreachable:
                raise
            except InfrastructureFailure:
                said = None  # the node's own container is refused for the same reason, in a sentence
            found = b"" if said is None else _zipapp(said)
            if said is not None:
                with suppress(StoreError):  # the next one compiles it again
                    _keep(name, found, store)
        _known[key] = found
    return _known[key] or own


def _kept(name: str, store: RunStore) -> bytes | None:
    """What the store has for an image; empty where that is the submitter's own."""
    digest = store.files.read_or_none(name)
    return store.files.read_or_none(_name(digest.decode())) if digest else digest


def _keep(name: str, found: bytes, store: RunStore) -> None:
    """Keep it by its own digest, as most images have the same, and that for the image."""
    digest = hashlib.sha256(found).hexdigest() if found else ""
    if found:
        store.files.create(_name(digest), found)
    store.files.create(name, digest.encode())


def _name(digest: str) -> str:
    return f"{bundle.folder()}/compiled/{digest}"


def _said(engine: Engine, one: plan.DockerPlan, own: bytes) -> bytes | None:
    """What the compiler says; None when it has failed, or isn't done in time."""
    try:
        engine.put(one.container, "/", archive.single(helpers.ZIPAPP.lstrip("/"), own))
        engine.start(one.container)
        with suppress(EngineUnreachable):  # that is what it says of one that takes too long, too
            engine.wait(one.container, _PATIENCE)
        found = engine.inspect(one.container)
        state = {} if found is None else found["State"]
        done = state.get("Status") == "exited" and state.get("ExitCode") == 0
        return engine.last_words(one.container) if done else None
    finally:
        engine.remove(one.container)


def _zipapp(said: bytes) -> bytes:
    """Of what a compiler has said; empty where that is nothing, or what the submitter has."""
    with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found = json.loads(said)
        code = {name: _bytes(text) for name, text in found["code"].items()}
        if _bytes(found["magic"]) != importlib.util.MAGIC_NUMBER:
            return bundle.with_code(code)
    return b""


def _bytes(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)
