"""What is done to all containers of a run together."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store.run_store import RunStore
from airflow_train.targets import certificates
from airflow_train.targets.docker import archive, observe, plan
from airflow_train.targets.docker.ends import end_facts, in_words
from airflow_train.targets.docker.engine import Engine

#: So many containers are dealt with at once.
_AT_ONCE = 16
#: Seconds that node 0 has to tell of another one's end by itself.
_TO_TELL = 10.0

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def each(call: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Call it for all, at once where there are several; all are done when the first error is raised."""
    wanted = list(items)
    if len(wanted) <= 1:
        return [call(one) for one in wanted]
    with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
        return [one.result() for one in [pool.submit(call, item) for item in wanted]]


def count(spec: RunSpec) -> int:
    """How many containers a run has."""
    return int(spec.job["node_count"])


def whose(spec: RunSpec) -> str:
    """The container that decides, for people."""
    return "its" if count(spec) == 1 else "node 0's"


def containers(run_id: str, nodes: int) -> list[str]:
    """Their names."""
    return [plan.container_name(run_id, node) for node in range(nodes)]


def create(engine: Engine, made: plan.DockerPlan) -> bool:
    """Create containers, volumes and network; False when somebody else has made node 0's, who goes on with the rest."""
    network(engine, made)
    found = engine.create(made)
    each(engine.create, made.others)
    return found


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
) -> str:
    """Put into every volume what lies there when the node starts; returns the name of the nodes' keys.

    Whoever fills makes keys of its own, beside others': only those that the claim names are ever looked at, so that
    two who submit at once don't mix theirs.
    """
    name, keys = "", [dict[str, bytes]() for _ in made.nodes]
    if made.others:
        name = secrets.token_hex(8)
        keys = certificates.make(spec.run_id, len(made.nodes))

    def put(one: plan.DockerPlan) -> None:
        own = {f"{name}/{file}": content for file, content in keys[one.node].items()}
        contents = archive.Archive(spec, one, store, owner, variables, own)
        engine.put(one.container, plan.ROOT, iter(contents))

    each(put, made.nodes)
    return name


def start(engine: Engine, spec: RunSpec, claim: Mapping[str, Any]) -> None:
    """Start all containers of a run that is claimed; those that run are fine."""
    nodes = count(spec)
    if nodes > 1:
        word = archive.single(protocol.CHOSEN_FILE, str(claim["keys"]).encode())
        each(lambda name: engine.put(name, plan.KEYS, word), containers(spec.run_id, nodes))
    each(engine.start, containers(spec.run_id, nodes))


def unstarted(engine: Engine, spec: RunSpec) -> bool:
    """Is there a container, but for node 0's, that whoever claimed the run hasn't started?"""
    watch = observe.watch(engine)
    return any(
        watch.state(name) == "created" and observe.state(engine, spec.run_id, node)[0] == "created"
        for node, name in enumerate(containers(spec.run_id, count(spec)))
        if node
    )


def missed(engine: Engine, record: RunRecord) -> dict[str, Any] | None:
    """What ends a run while its nodes meet: one has ended before it came, so that node 0 would wait for it in vain."""
    if record.starts or record.stop is not None:
        return None
    watch, ranks = observe.watch(engine), f"{plan.RUN_FOLDER}/{protocol.rank_folder(0).partition('/')[0]}"
    first, *others = containers(record.run_id, count(record.spec))
    for node, name in enumerate(others, 1):
        if watch.state(name) not in ("exited", "gone"):
            continue
        state, found = observe.state(engine, record.run_id, node)
        late = found is None or _since(found["State"]["FinishedAt"]) > _TO_TELL
        # records may lie in the container still
        if state in ("exited", "gone") and late and engine.stat(first, ranks) is None:
            how = "was removed from outside" if found is None else f"ended with {in_words(end_facts(found))}"
            detail = f"node {node} was lost before the ranks were started, as its container {how}"
            facts = {"reason": protocol.STOP_NODE_LOST, "node": node, "detail": detail}
            return {"at": protocol.timestamp(), **facts}
    return None


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
    """Remove containers, volumes and network."""
    each(engine.remove, containers(run_id, nodes))
    each(engine.remove_volume, [plan.volume_name(run_id, node) for node in range(nodes)])
    if nodes > 1:
        engine.remove_networks(run_id)
