"""Everything that a run has left in its volume, on its way into the run store; then an end for containers, volumes
and network.

Each step can be taken again by anybody after a kill: files are created exclusively, the report comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from airflow_train.exceptions import InfrastructureFailure
from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store import arriving, layout
from airflow_train.store.run_store import RunStore
from airflow_train.targets.docker import admission, archive, image, logs, merging, nodes, parcel, plan
from airflow_train.targets.docker.ends import end_facts
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import EngineUnreachable, Gone, not_found_in_path
from airflow_train.targets.docker.stream import Stream

#: Seconds that a supervisor has to collect what a killed one left.
FINISHING = 3600.0
#: Seconds that other nodes have to end by themselves when node 0 has; what is then cut short is finished.
_LEAVE = 10.0
#: How often one is started that collects: it may be killed, too.
_ATTEMPTS = 3
#: What is only of use inside.
_INSIDE = (protocol.LAUNCH_FILE, protocol.HEARTBEAT_FILE, protocol.CANCEL_FILE)


def collect(
    record: RunRecord,
    made: plan.DockerPlan,
    engine: Engine,
    store: RunStore,
    secrets: Mapping[str, str] | None,
) -> None:
    """Bring home what containers have left of which node 0's has ended.

    :param secrets: needed where logs of a killed supervisor are still to be copied; None where nobody knows them.
    :raises InfrastructureFailure: it can't be had any more.
    """
    run_id = record.run_id
    try:
        report = _bring(record, made, engine.inspect(made.container), engine, store, secrets)
        others = [_bring_other(record, one, engine, store, secrets) for one in made.others]
    except (Gone, arriving.Swept) as error:
        if store.files.exists(layout.report(run_id)):
            return  # somebody else has brought it home meanwhile
        if isinstance(error, arriving.Swept):
            raise
        for one in made.others:  # what they have tells more than nothing
            with suppress(Gone, arriving.Swept):
                _bring_other(record, one, engine, store, secrets)
        raise InfrastructureFailure(
            "what it left on the engine was removed from outside before it was collected"
        ) from None
    if report is not None and not made.shared:
        store.files.create(layout.report(run_id), merging.merged(report, others) if others else report)


def _bring(
    record: RunRecord,
    made: plan.DockerPlan,
    found: Mapping[str, Any] | None,
    engine: Engine,
    store: RunStore,
    secrets: Mapping[str, str] | None,
) -> bytes | None:
    """Bring home what one node has left, but for its report.

    :param found: its container, as the engine describes it.
    :raises Gone: there is nothing any more.
    """
    ended_well = _ended_container(record, made, found, engine, store)
    contents = parcel.read(engine.last_words(made.container)) if ended_well and not made.shared else None
    if contents is not None:
        return _store(_of_parcel(contents), record.run_id, store, made.node)
    for _ in range(_ATTEMPTS):
        if _reported(record.run_id, made, engine, store):
            break
        if not _finish(record, made, engine, store, secrets):
            break
    if made.shared:
        return None
    with engine.get(made.container, plan.RUN_FOLDER) as stream:
        return _store(_of_archive(stream), record.run_id, store, made.node)


def _bring_other(
    record: RunRecord,
    made: plan.DockerPlan,
    engine: Engine,
    store: RunStore,
    secrets: Mapping[str, str] | None,
) -> tuple[int, bytes | str]:
    """The same for another node than 0, which is ended first: its number, and its report or why it has none."""
    found = engine.inspect(made.container)
    state = (found or {}).get("State", {}).get("Status")
    if state == "running" and record.starts:  # it brings its own work to an end
        with suppress(EngineUnreachable):
            engine.wait(made.container, _LEAVE)
    if state in ("running", "paused"):
        nodes.end(engine, [made.container], 60)
        found = engine.inspect(made.container)
    try:
        report = _bring(record, made, found, engine, store, secrets)
        return made.node, report or f"node {made.node} left no report of what it has collected"
    except Gone:
        if store.files.exists(layout.report(record.run_id)):
            raise
        return made.node, f"what node {made.node} had left was removed from outside before it was collected"


def _reported(run_id: str, made: plan.DockerPlan, engine: Engine, store: RunStore) -> bool:
    """Has a supervisor collected everything?"""
    if made.shared:
        return store.files.exists(layout.report(run_id))
    return engine.stat(made.container, f"{plan.RUN_FOLDER}/{_report(made.node)}") is not None


def _report(node: int) -> str:
    return f"{protocol.node_folder(node)}/{protocol.REPORT_FILE}"


def _ended_container(
    record: RunRecord,
    made: plan.DockerPlan,
    found: Mapping[str, Any] | None,
    engine: Engine,
    store: RunStore,
) -> bool:
    """See to it that there is a container, which doesn't run; did it end well?

    One that somebody removed is made again around the volume. Where its image is gone too, as `docker system prune`
    leaves it, an empty one shows what is in the volume.
    """
    if found is None:
        if not engine.has_volume(made.volume):
            raise Gone("")
        nodes.network(engine, made)
        try:
            engine.create(made)
        except Gone:
            engine.create(replace(made, configuration={**made.configuration, "Image": engine.empty_image()}))
    elif found["State"]["Status"] != "created":
        facts = end_facts(found)
        store.files.create_json(layout.container(record.run_id, made.node), facts)
        return bool(facts["exit_code"] == 0)
    return False


def _finish(
    record: RunRecord,
    made: plan.DockerPlan,
    engine: Engine,
    store: RunStore,
    secrets: Mapping[str, str] | None,
) -> bool:
    """Let the container collect what its killed supervisor left; a claim that lies there lets it do nothing else.

    :returns: False when there never was a supervisor.
    """
    name = made.container
    if engine.stat(name, plan.CLAIM) is None:
        if made.node:
            return False
        error, reason = never_began(engine, made)
        report_failure(record.run_id, store, error, reason)
        return False
    if secrets:
        found = engine.inspect(name) or {}
        content = protocol.packed(dict(secrets), {})
        word = archive.single(protocol.HANDED_FILE, content, 0o400, image.owner(engine, made, found))
        engine.put(name, plan.HANDED.rpartition("/")[0], word)
    engine.start(name)
    engine.wait(name, FINISHING)
    return True


def report_failure(run_id: str, store: RunStore, error: str, reason: str) -> None:
    """The report of a run of which nothing could be started, unless there is one."""
    report = {"at": protocol.timestamp(), "started": None, "error": error.rstrip("."), "by": "target"}
    store.files.create_json(layout.report(run_id), {**report, "reason": reason})


def never_began(engine: Engine, made: plan.DockerPlan) -> tuple[str, str]:
    """Why a supervisor never claimed its node: half a sentence, and the verdict's reason."""
    found = engine.inspect(made.container)
    state = found["State"] if found is not None else {}
    said = str(state.get("Error") or "") or engine.output(made.container)
    last = said.splitlines()[-1] if said else f"exit code {state.get('ExitCode')}"
    python = made.configuration["Entrypoint"][0]
    if not_found_in_path(said):
        return f"the image {made.image} has no {python} in it", "could_not_start"
    if "exec format error" in said:
        return f"the image {made.image} is made for other processors than the engine's", "could_not_start"
    if (
        not said
    ):  # Python says what it lacks; who is killed with the engine, or with its machine, says nothing
        return f"its container ended ({last}) before its supervisor began", "infrastructure"
    return (
        f"{python} of the image {made.image} can't run the supervisor, which needs Python 3.8 or later ({last})",
        "could_not_start",
    )


class _Arrival(NamedTuple):
    """A file, below the folder of the run, or with `/` at its end a folder."""

    name: str
    size: int
    pieces: Iterable[bytes]
    #: The file of which this is a second name.
    first: str = ""


def _of_parcel(contents: Mapping[str, bytes]) -> Iterator[_Arrival]:
    for name, content in contents.items():
        yield _Arrival(name, len(content), (content,))


def _of_archive(stream: Stream) -> Iterator[_Arrival]:
    for member in stream.members():
        _, _, name = member.name.partition("/")
        if member.isreg():
            yield _Arrival(name, member.size, stream.content(member))
        elif member.isdir():
            yield _Arrival(f"{name}/", 0, ())
        elif member.islnk():
            yield _Arrival(name, 0, (), member.linkname.partition("/")[2])


def _store(arrivals: Iterable[_Arrival], run_id: str, store: RunStore, node: int) -> bytes | None:
    """Keep everything; returns the report, which is not to be stored before the rest."""
    report, left = None, set()
    beside = merging.Beside(store.files, layout.run(run_id)) if node else None
    with arriving.at(store.files, layout.run(run_id)) as door:
        for name, size, pieces, first in arrivals:
            if _stays(name, size, node) or first in left:
                left.add(name)
                continue
            if name.endswith("/"):
                if name.startswith(f"{protocol.FILES_FOLDER}/{protocol.OUTPUTS_FOLDER}"):
                    (beside.folder if beside else arriving.Door.folder)(
                        door, _storable(name.rstrip("/"), store)
                    )
            elif beside is not None and name.startswith(f"{protocol.FILES_FOLDER}/"):
                beside.take(door, _storable(name, store), size, pieces, _storable(first, store))
            elif first:
                door.again(_storable(first, store), _storable(name, store))
            elif name == _report(node):
                content = b"".join(pieces)
                report = content if admission.is_good_record(name, content) else None
            elif logs.is_record(name):
                logs.keep_record(store, run_id, name, b"".join(pieces))
            else:
                door.file(_storable(name, store), size, pieces)
    return report and merging.with_more(report, beside.conflicts if beside else (), door.left)


def _storable(name: str, store: RunStore) -> str:
    """A name as the store can have it: where it is no folder, bytes that are no UTF-8 are spelled out."""
    if store.files.local_root is not None:
        return name
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _stays(name: str, size: int, node: int) -> bool:
    """Is this of no use outside, half written, or not the container's to say? Of the script's files but the second."""
    if name.startswith(f"{protocol.FILES_FOLDER}/"):
        return protocol.TEMPORARY in name
    useless = protocol.TEMPORARY in name or name.rpartition("/")[2] in _INSIDE
    return useless or not admission.is_own(name, node) or (logs.is_record(name) and size > admission.MOST)


def sweep(spec: RunSpec, engine: Engine, store: RunStore) -> None:
    """Remove containers, volumes and network, and the segments where the whole files have come home.

    :raises InfrastructureFailure: the engine has something of it still.
    """
    run_id, number = spec.run_id, nodes.count(spec)
    try:
        nodes.remove(engine, run_id, number)
    finally:
        if store.files.exists(layout.report(run_id)):
            for node in range(number):
                store.files.delete_tree(layout.outbox(run_id, node))
        store.files.remove_half_written(layout.run(run_id))
