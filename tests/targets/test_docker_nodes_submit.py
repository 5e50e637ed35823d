"""Submitting several nodes to docker: two who do so at once, and one who dies or is cancelled on the way."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_train import targets
from airflow_train.lifecycle import cancel
from airflow_train.targets.docker import helpers, leftovers, nodes, plan
from airflow_train.targets.docker.engine import Engine
from tests.targets.lab import Lab, docker, docker_objects
from tests.targets.test_docker_nodes import PLAIN, READY, ended, ready

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]


def test_a_run_cancelled_before_its_nodes_have_met_ends_soon(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = lab.spec("mark('ran')", **PLAIN)
    lab.store.create(spec)
    store = lab.store
    monkeypatch.setattr(nodes, "start", lambda *_: None)
    targets.get(spec.target).submit(spec, store)
    store.ask_cancel(spec.run_id, "ann", "")
    monkeypatch.undo()

    assert ended(lab, spec.run_id)["status"] == "Canceled"
    assert "ran" not in lab.marks(spec.run_id)


def test_a_run_that_is_cancelled_while_it_is_filled_leaves_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cancels removes everything; what a busy engine makes after that goes with the submitter."""
    spec = lab.spec("mark('ran')", **{**PLAIN, "node_count": 3})
    lab.store.create(spec)
    lab.store.add_event(spec.run_id, "start", "handing over", "submitter")
    put, create, swept = Engine.put, Engine.create, threading.Event()

    def slow_create(self: Engine, made: plan.DockerPlan) -> bool:
        if made.container == plan.container_name(spec.run_id, 2):
            swept.wait(20)
        return create(self, made)

    def late_put(self: Engine, name: str, folder: str, archive: Any) -> None:
        if name in helpers.names(spec.run_id)[1:]:
            lab.store.ask_cancel(spec.run_id, "ann", "")
            assert lab.look(spec.run_id).status == "Canceled"
            swept.set()
        put(self, name, folder, archive)

    monkeypatch.setattr(Engine, "create", slow_create)
    monkeypatch.setattr(Engine, "put", late_put)
    targets.get(spec.target).submit(spec, lab.store)

    assert swept.is_set()
    assert ended(lab, spec.run_id)["status"] == "Canceled"


@pytest.mark.parametrize("call", ["create_network", "create", "put", "start"])
def test_who_submits_dies_after_any_call_and_the_run_goes_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The call has done its work for one node, no more."""
    spec, real, done = lab.spec("mark('ran')", **PLAIN), getattr(Engine, call), threading.Lock()

    def dying(*arguments: Any, **named: Any) -> Any:
        if not done.acquire(blocking=False):
            raise SystemExit
        real(*arguments, **named)
        raise SystemExit

    lab.store.create(spec)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, call, dying)
        with pytest.raises(SystemExit):
            targets.get(spec.target).submit(spec, lab.store)
    if lab.store.record(spec.run_id).claim is None:
        targets.get(spec.target).submit(spec, lab.store)

    assert ended(lab, spec.run_id)["status"] == "Completed", lab.store.record(spec.run_id).verdict
    assert lab.marks(spec.run_id).count("ran") == 4


def test_two_submitters_at_once_start_every_node_once(lab: Lab) -> None:
    spec = lab.spec("mark('ran')", **PLAIN)
    lab.store.create(spec)
    both = [
        threading.Thread(target=targets.get(spec.target).submit, args=(spec, lab.store)) for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert ended(lab, spec.run_id)["status"] == "Completed", lab.store.record(spec.run_id).verdict
    assert lab.marks(spec.run_id).count("ran") == 4


@pytest.mark.parametrize("wins", ["first", "second"])
def test_a_slow_submitter_who_fills_the_volumes_again_doesnt_mix_the_keys(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, wins: str
) -> None:
    spec = lab.spec("mark('ran')", **PLAIN)
    lab.store.create(spec)
    real = nodes.start
    if wins == "second":
        monkeypatch.setattr("airflow_train.targets.docker.target._POLITE", 0.0)
        Engine(spec.target["options"]).create(targets.get(spec.target).plan(spec, lab.store))

    def after_another(engine: Engine, spec: Any, claim: Mapping[str, Any]) -> None:
        made = targets.get(spec.target).plan(spec, lab.store)
        nodes.fill(engine, spec, made, lab.store, (0, 0), {}, created=wins == "second")
        real(engine, spec, claim)

    monkeypatch.setattr(nodes, "start", after_another)
    targets.get(spec.target).submit(spec, lab.store)

    assert ended(lab, spec.run_id)["status"] == "Completed", lab.store.record(spec.run_id).verdict


@pytest.mark.parametrize("most", [0, 1 << 20], ids=["an archive each", "one archive"])
def test_nodes_find_their_code_however_their_volumes_are_filled(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(nodes, "_TOGETHER", most)
    filled: list[str] = []
    real = Engine.put

    def put(self: Engine, name: str, folder: str, archive: Any) -> None:
        filled.append(name.rpartition("-")[2])
        real(self, name, folder, archive)

    monkeypatch.setattr(Engine, "put", put)
    view = lab.run("print(os.environ['NODE_RANK'])", **{**PLAIN, "process_count_per_node": 1})

    assert view.status == "Completed", view.record.verdict
    assert [lab.lines(view.record.run_id, rank) for rank in range(2)] == [["0"], ["1"]]
    assert sorted(set(filled) - {"compiler"}) == (["filler"] if most else ["node0", "node1"])
    assert lab.nothing_left(view.record.run_id)


def test_keys_are_nowhere_but_in_the_volumes(lab: Lab) -> None:
    run_id = lab.start(f"{READY}time.sleep(60)", **PLAIN)
    ready(lab, run_id)
    for node in range(2):
        name = plan.container_name(run_id, node)
        assert "PRIVATE KEY" not in docker("inspect", name)
        assert docker("exec", name, "find", plan.KEYS, "-name", "*.pem") == ""
    stored = subprocess.run(
        ["grep", "-rl", "PRIVATE KEY", str(lab.path(run_id))], capture_output=True, check=False
    )
    assert stored.stdout == b""
    cancel.cancel(lab.store, run_id, by="ann")
    ended(lab, run_id)


def test_a_network_that_two_submitters_have_made_is_one_when_nodes_start(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = nodes.start

    def doubled(engine: Engine, spec: Any, claim: Mapping[str, Any]) -> None:
        made = targets.get(spec.target).plan(spec, lab.store)
        engine.client().create_network(made.network, driver="bridge", labels=dict(made.labels))
        assert len([one for one in docker_objects(spec.run_id) if one.startswith("network ")]) == 2
        real(engine, spec, claim)

    monkeypatch.setattr(nodes, "start", doubled)
    run_id = lab.start("mark('ran')", **PLAIN)

    assert ended(lab, run_id)["status"] == "Completed", lab.store.record(run_id).verdict
    assert lab.marks(run_id).count("ran") == 4


def test_a_network_that_nobody_swept_is_found_and_removed(lab: Lab) -> None:
    spec = lab.spec("", **PLAIN)
    made = targets.get(spec.target).plan(spec, lab.store)
    engine = Engine(spec.target["options"])
    engine.create_network(made.network, made.labels)
    engine.create_network(made.network, made.labels)  # found
    found = leftovers.find(engine, lab.store)
    assert [one.what for one in found] == [f"network {made.network}"]
    leftovers.remove(engine, found[0])

    assert docker_objects(spec.run_id) == []
