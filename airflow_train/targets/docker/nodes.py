"""What is done to all containers of a run together."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from airflow_train.exceptions import InfrastructureFailure
from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store.run_store import RunStore
from airflow_train.targets import certificates
from airflow_train.targets.docker import admission, archive, helpers, observe, plan
from airflow_train.targets.docker.ends import end_facts, in_words
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import EngineUnreachable, Gone

#: So many containers are dealt with at once.
_AT_ONCE = 16
#: Volumes are filled one after the other, by one archive, where the code of all nodes has so many bytes at most.
_TOGETHER = 16 << 20
#: Seconds that node 0 has to tell of another one's end by itself.
_TO_TELL = 10.0

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def each(call: Callable[[_Item], _Result], items: Iterable[_Item], at_once: int = _AT_ONCE) -> list[_Result]:
    """Call it for all, at once where there are several; all are done when the first error is raised."""
    wanted = list(items)
    if len(wanted) <= 1:
        return [call(one) for one in wanted]
    with ThreadPoolExecutor(min(at_once, len(wanted))) as pool:
        return [one.result() for one in [pool.submit(call, item) for item in wanted]]


def count(spec: RunSpec) -> int:
    """How many containers a run has."""
    return int(spec.job["node_count"])


def whose(spec: RunSpec) -> str:
    """The container that decides, for people."""
    return "its" if count(spec) == 1 else "node 0's"


def decides(spec: RunSpec) -> int | None:
    """The node whose supervisor decides, where there are several."""
    return None if count(spec) == 1 else 0


def containers(run_id: str, nodes: int) -> list[str]:
    """Their names."""
    return [plan.container_name(run_id, node) for node in range(nodes)]


def network(engine: Engine, made: plan.DockerPlan) -> None:
    """See to it that there is the network that containers are to be in."""
    if made.network:
        engine.create_network(made.network, made.labels)


def fill(
    engine: Engine,
    spec: RunSpec,
    made: plan.DockerPlan,
    store: RunStore,
    owner: tuple[int, int],
    variables: Mapping[str, str],
    *,
    created: bool,
    runtime: bytes = b"",
) -> str:
    """Create the containers of the other nodes, and put into every volume what lies there when the node starts;
    returns the name of the nodes' keys.

    Whoever fills makes keys of its own, beside others': only those that the claim names are ever looked at, so that
    two who submit at once don't mix theirs.

    :param created: is this who has created node 0's container?
    :param runtime: the zipapp, where it isn't the submitter's own.
    """
    name, keys = "", [dict[str, bytes]() for _ in made.nodes]
    if made.others:  # a volume outlives a container that somebody removes: it may have another's keys
        first = created and engine.stat(made.container, plan.KEYS) is None
        name = (protocol.FIRST_KEYS if first else "") + secrets.token_hex(8)
        keys = certificates.make(spec.run_id, len(made.nodes))

    def of(one: plan.DockerPlan, folder: str = "") -> archive.Archive:
        own = {f"{name}/{file}": content for file, content in keys[one.node].items()}
        return archive.Archive(spec, one, store, owner, variables, own, runtime, folder)

    def fill_one(one: plan.DockerPlan) -> None:
        if one.node:
            engine.create(one)
        engine.put(one.container, plan.ROOT, iter(of(one)))

    small = len(made.nodes) * spec.snapshot["bytes"] <= _TOGETHER and not made.earlier
    filler = helpers.filler(made) if made.others and small else None
    if filler is None or not _allowed(engine, filler):
        each(fill_one, made.nodes)
        return name
    with ThreadPoolExecutor(1) as meanwhile:
        others = meanwhile.submit(each, engine.create, made.others)
        all_of_them = archive.together(of(one, f"{one.node}/") for one in made.nodes)
        engine.put(filler.container, plan.ROOT, all_of_them)
        others.result()
    return name


def _allowed(engine: Engine, filler: plan.DockerPlan) -> bool:
    """Create the filler; False when the engine refuses it, as one may that allows certain containers only."""
    try:
        engine.create(filler)
        return True
    except (EngineUnreachable, Gone):
        raise
    except InfrastructureFailure:
        return False


def start(engine: Engine, spec: RunSpec, claim: Mapping[str, Any]) -> None:
    """Start all containers of a run that is claimed; those that run are fine.

    Which keys count only node 0 is told, where it can't see it by their name: the others try theirs on it.
    """
    first, *others = containers(spec.run_id, count(spec))

    def begin(name: str) -> None:
        keys = str(claim.get("keys", protocol.FIRST_KEYS))
        if name == first and not keys.startswith(protocol.FIRST_KEYS):
            engine.put(name, plan.KEYS, archive.single(protocol.CHOSEN_FILE, keys.encode()))
        try:
            engine.start(name)
        except InfrastructureFailure as error:
            if "ambiguous" not in str(error):
                raise
            engine.remove_doubles(plan.network_name(spec.run_id))
            engine.start(name)

    # more at a time don't start sooner: each takes a third of a second of a processor
    each(begin, [first, *others], min(2 * engine.processors, _AT_ONCE))


def unstarted(engine: Engine, spec: RunSpec) -> bool:
    """Is there a container, but for node 0's, that whoever claimed the run hasn't started?"""
    watch = observe.watch(engine)
    return any(
        watch.state(name) == "created" and observe.state(engine, spec.run_id, node)[0] == "created"
        for node, name in enumerate(containers(spec.run_id, count(spec)))
        if node
    )


def lost(engine: Engine, record: RunRecord, first: str) -> dict[str, Any] | None:
    """What ends a run that node 0 doesn't end (`stop.json`): another node has ended before it came, so that node 0
    waits for it in vain, or because it hears nothing of node 0.

    :param first: state of node 0's container, which lives.
    """
    if record.stop is not None or record.cancel is not None or record.phases[-1].name == "collect":
        return None
    watch = observe.watch(engine)
    for node, name in enumerate(containers(record.run_id, count(record.spec))):
        told = watch.state(name)
        if not node or told not in ("exited", "gone"):
            continue
        if told == "exited" and first != "paused" and watch.unchanged(name) < _TO_TELL:
            continue  # an engine that clears away after a container is slow to answer
        state, found = observe.state(engine, record.run_id, node)
        late = found is None or _since(found["State"]["FinishedAt"]) > _TO_TELL
        if state in ("exited", "gone") and (late or first == "paused"):
            facts = _given_up(engine, record, node, first) or _missed(engine, record, node, found)
            if facts is not None:
                return {"at": protocol.timestamp(), "reason": protocol.STOP_NODE_LOST, **facts}
    return None


def _given_up(engine: Engine, record: RunRecord, node: int, first: str) -> dict[str, Any] | None:
    """Has that node ended because it had lost node 0?"""
    path = f"{plan.RUN_FOLDER}/{protocol.node_folder(node)}/{protocol.STOP_FILE}"
    with suppress(Gone), engine.get(plan.container_name(record.run_id, node), path) as stream:
        for member in stream.members():
            if member.size <= admission.MOST:
                facts = admission.stop_record(b"".join(stream.content(member)))
                if (facts.get("reason"), facts.get("node")) == (protocol.STOP_NODE_LOST, 0):
                    more = ", and its container is paused" if first == "paused" else ""
                    return {"node": 0, "detail": facts["detail"] + more}
    return None


def _missed(
    engine: Engine, record: RunRecord, node: int, found: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Has that node ended before the ranks were started?"""
    ranks = f"{plan.RUN_FOLDER}/{protocol.rank_folder(0).partition('/')[0]}"
    # records may lie in the container still
    if record.starts or engine.stat(plan.container_name(record.run_id), ranks) is not None:
        return None
    how = "was removed from outside" if found is None else f"ended with {in_words(end_facts(found))}"
    detail = f"node {node} was lost before the ranks were started, as its container {how}"
    return {"node": node, "detail": detail}


def _since(at: str) -> float:
    """Seconds by this machine's clock."""
    return time.time() - datetime.fromisoformat(at).timestamp()


def end(engine: Engine, names: Iterable[str], patience: float) -> None:
    """Kill containers, and return when they don't run."""

    def kill(name: str) -> None:
        engine.kill(name)
        if engine.inspect(name) is not None:
            engine.wait(name, patience)

    each(kill, names)


def remove(engine: Engine, run_id: str, nodes: int) -> None:
    """Remove containers, volumes and network.

    :raises InfrastructureFailure: the engine has something of it still.
    """
    names = containers(run_id, nodes)
    if nodes > 1:
        names += helpers.names(run_id)
    with ThreadPoolExecutor(1) as meanwhile:  # a network takes longer than its containers, which have ended
        gone = meanwhile.submit(_remove_networks, engine, run_id) if nodes > 1 else None
        each(engine.remove, names)
        each(engine.remove_volume, [plan.volume_name(run_id, node) for node in range(nodes)])
        left = gone is not None and not gone.result()
    if left:
        engine.remove_networks(run_id)


def _remove_networks(engine: Engine, run_id: str) -> bool:
    """Try to; False when something is in the way, such as a container that runs still."""
    try:
        engine.remove_networks(run_id)
        return True
    except EngineUnreachable:
        raise
    except InfrastructureFailure:
        return False
