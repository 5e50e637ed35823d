"""The engine dies, alone or with its machine, in every phase of a run: the verdict is right, nothing runs twice, what
was written is kept, and nothing is left behind."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_train.exceptions import InfrastructureFailure
from airflow_train.lifecycle import observe
from airflow_train.runs.record import RunRecord
from airflow_train.runs.spec import RunSpec
from airflow_train.targets.docker import plan
from airflow_train.targets.docker.archive import Archive
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.stream import Stream
from tests.targets import strikes
from tests.targets.lab import IMAGE, Lab, until
from tests.targets.private_engine import PrivateEngine
from tests.targets.strikes import Strike

pytestmark = [
    pytest.mark.docker,
    pytest.mark.only("docker"),
    # the package docker leaves sockets to the garbage collector when an engine goes away
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MOMENTS = ("before", "after")
#: Works until it is allowed to end.
WORKS = """
open("outputs/half", "w").write("kept")
print("said", flush=True)
mark("ready")
while not os.path.exists(os.environ["MARK"] + ".go"): time.sleep(0.02)
mark("end")
"""


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds a run that nobody has started soon starts it."""
    monkeypatch.setattr(observe, "START_AFTER", 0.2)
    monkeypatch.setattr("airflow_train.targets.docker.target._POLITE", 0.2)


class Fate:
    """What happens to the engine, at a call that a test names."""

    def __init__(self, engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine, self._patch = engine, monkeypatch
        self._back: list[threading.Timer] = []
        self.strikes: list[Strike] = []

    def away(self) -> None:
        """The engine is killed, and comes back while others try."""
        self.engine.kill()
        self._back.append(threading.Timer(0.5, self.engine.start))
        self._back[-1].start()

    def power_cut(self) -> None:
        """Its machine goes down with all containers, and comes up again."""
        self.engine.crash()
        self.engine.start()

    def at(self, call: str, moment: str, *, machine: bool = False, owner: type = Engine) -> None:
        """Strike at the first call of a kind."""
        made = Strike(call, moment, self.power_cut if machine else self.away, owner)
        self.strikes.append(made)
        self._patch.setattr(owner, call, made)

    def over(self) -> None:
        """Wait until the engine is back."""
        for one in self._back:
            one.join()
        assert all(one.struck for one in self.strikes)


@pytest.fixture
def fate(own_engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fate]:
    """What the test does to its engine."""
    made = Fate(own_engine, monkeypatch)
    yield made
    for one in made._back:
        one.join()


def go(lab: Lab, run_id: str) -> None:
    """Let the script end."""
    lab.mark_file(run_id).with_suffix(".marks.go").touch()


def submitted(lab: Lab, code: str, **job: Any) -> str:
    """Submit a run as a task does, whose retry finds what the first try left."""
    spec = lab.spec(code, **job)
    submit(lab, spec)
    return spec.run_id


def submit(lab: Lab, spec: RunSpec) -> None:
    with contextlib.suppress(InfrastructureFailure):
        lab.submit(spec)


def ended(lab: Lab, run_id: str, fate: Fate) -> RunRecord:
    """The end of a run, which holds whatever happened; the engine is back in the end."""
    record = lab.wait(run_id).record
    verdict, marks = record.verdict or {}, lab.marks(run_id)
    assert marks.count("start 0") <= 1, f"it ran twice: {verdict}"
    assert (verdict["status"] == "Completed") == ("end" in marks), verdict
    assert verdict["status"] == "Completed" or verdict["reason"] == "infrastructure", verdict
    fate.over()
    lab.look(run_id)
    if "ready" in marks:
        assert lab.output(run_id, "outputs/half") == "kept"
        assert lab.lines(run_id) == ["said"]
    assert lab.nothing_left(run_id)
    assert lab.store.settled(record.spec)
    return record


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("call", strikes.SUBMIT)
def test_the_engine_dies_while_a_run_is_submitted(lab: Lab, fate: Fate, call: str, moment: str) -> None:
    fate.at(call, moment)
    run_id = submitted(lab, WORKS)
    go(lab, run_id)

    record = ended(lab, run_id, fate)
    assert record.status == "Completed" or (call, moment) == ("start", "after")


def test_the_engine_dies_in_the_middle_of_the_code(lab: Lab, fate: Fate) -> None:
    fate.at("_blob", "before", owner=Archive)
    run_id = submitted(lab, WORKS)
    go(lab, run_id)

    assert ended(lab, run_id, fate).status == "Completed"


def test_the_engine_dies_in_the_middle_of_the_outputs(lab: Lab, fate: Fate) -> None:
    run_id = lab.start(WORKS + "open('outputs/large', 'wb').write(os.urandom(32 << 20))")
    go(lab, run_id)
    fate.engine.docker("wait", plan.container_name(run_id))
    fate.at("content", "after", owner=Stream)

    assert ended(lab, run_id, fate).status == "Completed"
    assert lab.path(run_id, "files", "outputs", "large").stat().st_size == 32 << 20


@pytest.mark.parametrize(("call", "moment"), [("put", "after"), ("start", "after")])
def test_the_machine_dies_while_a_run_is_submitted(lab: Lab, fate: Fate, call: str, moment: str) -> None:
    fate.at(call, moment, machine=True)
    run_id = submitted(lab, WORKS)
    go(lab, run_id)

    record = ended(lab, run_id, fate)
    assert record.status == "Completed" or call == "start"


def test_the_engine_dies_while_an_image_comes(lab: Lab, fate: Fate, own_engine: PrivateEngine) -> None:
    """From a registry that says nothing; after the restart the image is there."""
    image = f"127.0.0.1:{own_engine.silence()}/slow"
    spec = lab.spec(WORKS, environment={"image": image})
    lab.store.create(spec)
    submitting = threading.Thread(target=submit, args=[lab, spec])
    submitting.start()
    until(lambda: any(event["phase"] == "pull" for event in lab.store.record(spec.run_id).events))
    own_engine.restart()
    submitting.join(30)
    own_engine.docker("tag", IMAGE, image)
    go(lab, spec.run_id)

    assert ended(lab, spec.run_id, fate).status == "Completed"


@pytest.mark.parametrize("machine", [False, True], ids=["engine", "machine"])
def test_a_run_that_dies_with_its_engine_is_failed_by_infrastructure(
    lab: Lab, fate: Fate, own_engine: PrivateEngine, machine: bool
) -> None:
    run_id = lab.start(WORKS)
    lab.marked(run_id, "ready")
    watcher = observe.Watcher(lab.store, run_id)
    until(lambda: watcher.look().status == "Running")
    fate.power_cut() if machine else own_engine.restart()

    assert ended(lab, run_id, fate).status == "Failed"


def test_who_looks_while_an_engine_shuts_down_in_order_is_not_disturbed(
    lab: Lab, fate: Fate, own_engine: PrivateEngine
) -> None:
    """It refuses, in its last moments, what it did before."""
    run_id = lab.start(WORKS)
    lab.marked(run_id, "ready")
    until(lambda: lab.look(run_id).status == "Running")
    restarting = threading.Thread(target=own_engine.restart, args=[signal.SIGTERM])
    restarting.start()
    while restarting.is_alive():
        lab.look(run_id)

    assert "told to stop from outside" in str((ended(lab, run_id, fate).verdict or {})["message"])


def test_a_run_outlives_an_engine_that_restores_what_lives(
    lab: Lab, fate: Fate, own_engine: PrivateEngine
) -> None:
    own_engine.live_restore = True
    own_engine.restart()
    run_id = lab.start(WORKS)
    lab.marked(run_id, "ready")
    watcher = observe.Watcher(lab.store, run_id)
    until(lambda: watcher.look().status == "Running")
    own_engine.kill()
    away = {watcher.look().status for _ in range(3)}
    own_engine.start()
    go(lab, run_id)

    assert away == {"Running"}
    assert ended(lab, run_id, fate).status == "Completed"


@pytest.mark.parametrize("machine", [False, True], ids=["engine", "machine"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("call", strikes.COLLECT)
def test_the_engine_dies_while_outputs_are_collected_and_it_is_swept(
    lab: Lab, fate: Fate, call: str, moment: str, machine: bool
) -> None:
    run_id = lab.start(WORKS)
    go(lab, run_id)
    fate.engine.docker("wait", plan.container_name(run_id))
    fate.at(call, moment, machine=machine)

    assert ended(lab, run_id, fate).status == "Completed"


@pytest.mark.parametrize("machine", [False, True], ids=["engine", "machine"])
@pytest.mark.parametrize("call", strikes.FINISH)
def test_the_engine_dies_while_a_dead_supervisor_is_stood_in_for(
    lab: Lab, fate: Fate, call: str, machine: bool
) -> None:
    run_id = lab.start(WORKS)
    lab.marked(run_id, "ready")
    fate.engine.docker("kill", plan.container_name(run_id))
    fate.at(call, "before", machine=machine)

    assert ended(lab, run_id, fate).status == "Failed"
