"""Images that runs ask for: built once on the engine, whoever asks and whoever is killed."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from airflow_train import targets
from airflow_train.environments import dockerfile, registry
from airflow_train.environments import image as images
from airflow_train.lifecycle import cancel
from airflow_train.store import layout, snapshots
from airflow_train.store.run_store import open_store
from airflow_train.targets.base import Kept
from airflow_train.targets.docker import build, keeping
from airflow_train.targets.docker.engine import Engine
from tests.targets.lab import DOCKER, IMAGE, Lab, docker, until
from tests.targets.private_engine import PrivateEngine
from tests.targets.strikes import Strike
from tests.wheels import Index

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]

#: An image without pip, with wheels, a repository of apt, something that stands in for micromamba, and a user.
DOCKERFILE = f"""\
FROM {IMAGE}
COPY . /given
RUN cd /given && dpkg-deb -b tool tool.deb >/dev/null \\
 && {{ cat tool/DEBIAN/control; echo "Filename: ./tool.deb"; echo "Size: $(stat -c %s tool.deb)"; \\
      echo "SHA256: $(sha256sum tool.deb | cut -d' ' -f1)"; }} > Packages \\
 && rm -rf /etc/apt/sources.list* && echo 'deb [trusted=yes] file:/given ./' > /etc/apt/sources.list \\
 && useradd --uid 4321 ann && install micromamba /usr/bin
USER ann
"""


@pytest.fixture
def given(lab: Lab, tmp_path: Path) -> str:
    """Id of a build context."""
    folder = tmp_path / "context"
    (folder / "tool" / "DEBIAN").mkdir(parents=True)
    (folder / "tool" / "DEBIAN" / "control").write_text(
        "Package: a-tool\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n"
    )
    (folder / "tool" / "usr" / "bin").mkdir(parents=True)
    (folder / "tool" / "usr" / "bin" / "a-tool").write_text("#!/bin/sh\necho from apt\n")
    (folder / "tool" / "usr" / "bin" / "a-tool").chmod(0o755)
    (folder / "micromamba").write_text('#!/bin/sh\necho "$@" >> /asked\n')
    Index(folder / "wheels").wheel("tiny", "1.5")
    return snapshots.take(lab.store.files, folder).id


@pytest.fixture(autouse=True)
def forgotten(lab: Lab) -> Iterator[None]:
    """Nothing that was built here stays on the engine."""
    yield
    for run_id in lab.run_ids:
        if lab.store.exists(run_id) and image_of(lab, run_id):
            docker("image", "rm", "-f", name_of(lab, run_id))


def image_of(lab: Lab, run_id: str) -> dict[str, Any] | None:
    """The image of a run on the engine."""
    return Engine({}).find_image(name_of(lab, run_id))


def name_of(lab: Lab, run_id: str) -> str:
    """Name of a run's image."""
    recipe = build.recipe_for(lab.store.spec(run_id).job, lab.target["options"])
    assert recipe is not None
    return images.tag(recipe)


def own(*lines: str, **more: Any) -> dict[str, Any]:
    """A job whose image is built of a Dockerfile that nobody else has."""
    text = "\n".join([f"FROM {IMAGE}", f"ENV OWN={uuid4()}", *lines, ""])
    return {"environment": {"dockerfile": text, **more}}


def build_log(lab: Lab, run_id: str) -> str:
    return (lab.store.files.read_or_none(layout.build_log(run_id)) or b"").decode()


def reasons(lab: Lab, run_id: str) -> list[str]:
    """What a run said of its build."""
    return [one["reason"] for one in lab.store.record(run_id).events if one["phase"] == "build"]


def in_background(lab: Lab, spec: Any) -> SpawnProcess:
    """Another process submits."""
    lab.store.create(spec)
    process = multiprocessing.get_context("spawn").Process(target=_submit, args=[lab.store.uri, spec.run_id])
    process.start()
    return process


def _submit(store_uri: str, *run_ids: str) -> None:
    store = open_store(store_uri)
    threads = [
        threading.Thread(
            target=lambda spec: targets.get(spec.target).submit(spec, store), args=[store.spec(one)]
        )
        for one in run_ids
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def test_everything_that_a_recipe_names_is_there_for_the_images_own_user(lab: Lab, given: str) -> None:
    view = lab.run(
        """
        import tiny
        print(tiny.VERSION, os.getuid())
        print(subprocess.check_output("a-tool", text=True).strip())
        print(open("/asked").readline().strip())
        """,
        environment={
            "dockerfile": DOCKERFILE,
            "context": given,
            "apt_packages": ["a-tool"],
            "conda_packages": ["numpy>=1"],
            "conda_channels": ["some-channel"],
            "pip_packages": ["--no-index", "--find-links /given/wheels", "tiny>=1"],
        },
        environment_variables={"MARK": "/dev/null"},
    )
    run_id = view.record.run_id

    assert view.status == "Completed", view.record.verdict
    assert lab.lines(run_id, 0) == [
        "1.5 4321",
        "from apt",
        "install -q -y -n base -c some-channel numpy>=1",
    ]
    assert "Successfully installed tiny-1.5" in build_log(lab, run_id)
    assert lab.has(run_id, "system_logs/build.log")
    labels = (image_of(lab, run_id) or {})["Config"]["Labels"]
    assert json.loads(labels[images.RECIPE_LABEL])["apt"] == ["a-tool"]
    assert registry.names(lab.store.files) == []  # who builds is kept elsewhere


def test_ten_that_ask_at_once_from_two_processes_share_one_build(lab: Lab) -> None:
    job = own("RUN sleep 1; cat /proc/sys/kernel/random/uuid > /built")
    specs = [lab.spec("print(open('/built').read())", **job) for _ in range(10)]
    for spec in specs:
        lab.store.create(spec)
    ids = [spec.run_id for spec in specs]
    other = multiprocessing.get_context("spawn").Process(target=_submit, args=[lab.store.uri, *ids[:5]])
    other.start()
    _submit(lab.store.uri, *ids[5:])
    other.join()
    views = [lab.wait(one) for one in ids]

    assert {view.status for view in views} == {"Completed"}
    assert len({lab.lines(one, 0)[0] for one in ids}) == 1
    built = [one for one in ids if any(reason.startswith("building") for reason in reasons(lab, one))]
    assert len(built) == 1
    assert all("waiting for process" in reasons(lab, one)[0] for one in ids if one not in built)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (
            own("RUN echo fine && echo 'thing.c:3: error: no such thing' && false"),
            "thing.c:3: error: no such thing",
        ),
        (own("COPY nothing /there"), "COPY failed: file not found in build context"),
        (
            own("RUN printf 'ERROR: http://me:hunter%s@h.example/x\\n' 2 && false"),
            "http://***@h.example/x (step",
        ),
        (own("RUNS something"), "unknown instruction: RUNS"),
        (
            {"environment": {"pip_packages": ["--no-index", "nosuch==1"]}},
            "No matching distribution found for nosuch==1 (step 5/9, pip install, exit code 1)",
        ),
        (
            {"environment": {"conda_packages": ["numpy"]}},
            "the image has none of micromamba, mamba and conda on its PATH",
        ),
        (
            {"environment": {"conda_packages": ["python=3.99"]}},
            "Python 3.99 is wanted, which the image hasn't",
        ),
    ],
)
def test_a_build_that_fails_is_told_in_one_sentence_with_the_line(
    lab: Lab, job: dict[str, Any], words: str
) -> None:
    record = lab.run("pass", **job).record
    found = record.verdict or {}

    assert (found["status"], found["reason"]) == ("Failed", "build_failed")
    assert words in found["message"]
    assert len(found["message"].splitlines()) == 1
    assert image_of(lab, record.run_id) is None


def test_a_step_that_is_killed_from_outside_may_be_tried_again(lab: Lab) -> None:
    found = lab.run("pass", **own("RUN sh -c 'kill -KILL $$'")).record.verdict or {}

    assert found["reason"] == "infrastructure"
    assert "RUN sh -c 'kill -KILL $$' was killed from outside" in found["message"]


def test_the_log_of_a_build_can_be_read_while_it_goes_on_and_a_cancel_ends_it(lab: Lab) -> None:
    spec = lab.spec("pass", **own("RUN echo begun && sleep 100"))
    other = in_background(lab, spec)
    until(lambda: build_log(lab, spec.run_id).endswith(" begun\n"))
    status = lab.look(spec.run_id).status
    began = time.monotonic()
    cancel.cancel(lab.store, spec.run_id)
    other.join()

    assert status == "Preparing"
    assert time.monotonic() - began < 10
    assert lab.wait(spec.run_id).status == "Canceled"
    until(lambda: not half_made(lab, "container"))


def test_a_builder_that_is_killed_is_replaced_and_leaves_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = lab.spec("print(open('/built').read())", **own("RUN echo begun > /built && sleep 3"))
    other = in_background(lab, spec)
    until(lambda: "Step 4" in build_log(lab, spec.run_id))
    assert other.pid is not None
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    until(lambda: not half_made(lab, "container"))

    assert lab.wait(spec.run_id).status == "Completed"
    monkeypatch.setattr(keeping, "BETWEEN_STEPS", 0.0)
    left = half_made(lab)
    for one in left:
        assert targets.get(lab.target).forget(one)
    assert not {one.what for one in left} & {one.what for one in half_made(lab)}  # others build meanwhile


def test_an_engine_that_dies_in_a_build_builds_again_and_keeps_nothing_half_made(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PrivateEngine() as engine:
        lab.target = {**DOCKER, "options": {**DOCKER["options"], "host": engine.address}}
        spec = lab.spec("print('ran')", **own("RUN echo begun && sleep 1"))
        other = in_background(lab, spec)
        until(lambda: build_log(lab, spec.run_id).endswith(" begun\n"))
        engine.crash()
        engine.start()
        other.join()

        view = lab.wait(spec.run_id)
        assert view.status == "Completed", view.record.verdict
        monkeypatch.setattr(keeping, "BETWEEN_STEPS", 0.0)
        for one in half_made(lab):
            assert targets.get(lab.target).forget(one)
        assert half_made(lab) == []
        lab.run_ids.clear()


def test_a_build_that_takes_longer_than_it_may_is_ended(lab: Lab) -> None:
    spec = replace(lab.spec("pass", **own("RUN sleep 100")), limits={"build": 0.5})
    lab.submit(spec)
    found = lab.wait(spec.run_id).record.verdict or {}

    assert found["reason"] == "phase_limit"
    assert "its image wasn't built within the limit of 0.5 s" in found["message"]


def test_an_image_that_is_removed_before_its_container_is_made_is_built_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = lab.spec("pass", **own())

    def remove() -> None:
        docker("image", "rm", name_of(lab, spec.run_id))

    monkeypatch.setattr(Engine, "create", Strike("create", "before", remove))
    lab.submit(spec)

    assert lab.wait(spec.run_id).status == "Completed"
    assert len(reasons(lab, spec.run_id)) == 2


def half_made(lab: Lab, kind: str = "") -> list[Kept]:
    """What killed builds have left."""
    return [
        one for one in targets.get(lab.target).kept(lab.store) if not one.key and one.what.startswith(kind)
    ]


def test_an_image_that_is_gone_at_the_next_attempt_is_built_again(lab: Lab) -> None:
    job = own("RUN touch /built")
    first = lab.run("print(os.path.exists('/built'))", **job).record.run_id
    docker("image", "rm", (image_of(lab, first) or {})["Id"])
    second = lab.run("print(os.path.exists('/built'))", **job).record.run_id
    third = lab.run("print(os.path.exists('/built'))", **job).record.run_id

    assert [lab.lines(one, 0) for one in (first, second, third)] == [["True"]] * 3
    assert len(reasons(lab, second)) == 1
    assert reasons(lab, third) == []


def test_an_image_is_forgotten_when_no_run_uses_it(lab: Lab) -> None:
    job = own()
    run_id = lab.start("mark('ready'); signal.pause()", **job)
    lab.marked(run_id, "ready")
    target, name = targets.get(lab.target), name_of(lab, run_id)

    def kept() -> Kept | None:
        return next((one for one in target.kept(lab.store) if one.what == f"image {name}"), None)

    used = kept()
    assert used is not None
    assert used.in_use
    assert not target.forget(used)
    cancel.cancel(lab.store, run_id)
    lab.wait(run_id)
    unused = kept()
    assert unused is not None
    assert not unused.in_use
    lab.run("pass", **job)
    assert not target.forget(unused), "a run has asked for it since"
    again = kept()
    assert again is not None
    assert target.forget(again)
    assert kept() is None


def test_what_others_built_on_an_image_is_theirs(lab: Lab) -> None:
    run_id = lab.run("pass", **own()).record.run_id
    name = name_of(lab, run_id)
    wanted = io.BytesIO(f"FROM {name}\nENV THEIRS=1\n".encode())
    theirs = Engine({}).client().build(fileobj=wanted, decode=True, rm=True)
    identity = [event["aux"]["ID"] for event in theirs if "aux" in event][-1]
    docker("tag", name, f"{name}-moved")
    docker("image", "rm", name)
    found = [one.what for one in targets.get(lab.target).kept(lab.store)]
    docker("image", "rm", "-f", identity)
    docker("image", "rm", "-f", f"{name}-moved")

    assert f"image {name}-moved" in found
    assert f"image {identity.removeprefix('sha256:')[:12]}" not in found


def test_a_stranger_with_the_images_name_is_not_taken_for_it(lab: Lab) -> None:
    spec = lab.spec("print(os.path.exists('/built'))", **own("RUN touch /built"))
    recipe = build.recipe_for(spec.job, {})
    assert recipe is not None
    docker("tag", IMAGE, images.tag(recipe))
    lab.submit(spec)

    assert lab.wait(spec.run_id).status == "Completed"
    assert lab.lines(spec.run_id, 0) == ["True"]


def test_a_dry_run_shows_name_and_recipe_of_the_image(lab: Lab) -> None:
    spec = lab.spec("pass", environment={"pip_packages": ["six"], "image": "given:1"})
    plan = targets.get(lab.target).plan(spec, lab.store).to_json()

    assert plan["configuration"]["Image"] == plan["environment"]["image"]
    assert plan["environment"]["recipe"] == {"base_image": "given:1", "pip": ["six"]}
    assert plan["environment"]["dockerfile"].startswith(f"FROM given:1\nLABEL {dockerfile.LABEL}=")
